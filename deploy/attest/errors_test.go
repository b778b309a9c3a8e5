package attest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/attest"
)

// The caller of a program learns what kind of error the program had.
func TestFailedResponse(t *testing.T) {
	t.Parallel()
	answer, err := json.Marshal(attest.FailedResponse(fmt.Errorf("judge: %w", attest.ErrPolicy), "judge: it is [hidden]"))
	if err != nil {
		t.Fatal(err)
	}
	var response attest.Response
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatal(err)
	}
	if err := response.Err(); err == nil || err.Error() != "judge: it is [hidden]" || !errors.Is(err, attest.ErrPolicy) || errors.Is(err, attest.ErrSigstore) {
		t.Errorf("error %v", err)
	}
	if err := (attest.Response{PublicKey: "key"}).Err(); err != nil {
		t.Errorf("an answer without an error gives %v", err)
	}
}
