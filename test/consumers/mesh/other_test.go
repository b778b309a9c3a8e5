//go:build mesh && !linux

package mesh

import "testing"

func TestRollout(t *testing.T) {
	t.Skip("needs Linux, for which alone Istio's agent is made; run \"go tool mage mesh\" in a Linux container or virtual machine")
}
