package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/slipway-wasm/slipway/deploy/rollout/kind/docker"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
)

const (
	// DefaultRegistryImage is CNCF Distribution: https://hub.docker.com/_/registry
	DefaultRegistryImage = "registry:2"
	// RegistryName is the registry's container, and its host name for nodes and
	// pods: docker resolves it on kind's network.
	RegistryName = "slipway-registry"
	// RegistryPort is what the image listens on.
	RegistryPort = "5000"
	// InCluster is how proxies and nodes address the registry.
	InCluster = RegistryName + ":" + RegistryPort

	// kindNetwork is kind's docker network.
	kindNetwork = "kind"
)

// registryHosting lets other tools find the registry.
// Reference: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry
const registryHosting = `
apiVersion: v1
kind: ConfigMap
metadata: {name: local-registry-hosting, namespace: kube-public}
data:
  localRegistryHosting.v1: |
    host: %[1]q
    hostFromContainerRuntime: %[2]q
    hostFromClusterNetwork: %[2]q
    help: https://kind.sigs.k8s.io/docs/user/local-registry/
`

// startRegistry starts a local registry as kind's documentation describes.
// Reference: https://kind.sigs.k8s.io/docs/user/local-registry/
func startRegistry(ctx context.Context, all []nodes.Node, image string, k kubectl.Kubectl) error {
	image = cmp.Or(image, DefaultRegistryImage)
	// An "up" that was killed may have left one.
	if _, err := docker.Run(ctx, "rm", "--force", "--volumes", RegistryName); err != nil {
		return err
	}
	if _, err := docker.Run(ctx, "run", "--detach", "--pull=missing", "--name="+RegistryName, "--network="+kindNetwork,
		"--publish=127.0.0.1::"+RegistryPort, image); err != nil {
		return err
	}
	address, err := RegistryAddress(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, node := range all {
		for _, name := range []string{InCluster, address} {
			group.Go(func() error {
				return said(nodeutils.WriteFile(node, "/etc/containerd/certs.d/"+name+"/hosts.toml", "[host.\"http://"+InCluster+"\"]\n"))
			})
		}
	}
	group.Go(func() error {
		_, err := k.Run(ctx, strings.NewReader(fmt.Sprintf(registryHosting, address, InCluster)), "apply", "--filename=-")
		return err
	})
	return group.Wait()
}

// RegistryAddress returns the registry's address for this machine.
func RegistryAddress(ctx context.Context) (string, error) {
	address, err := docker.Run(ctx, "port", RegistryName, RegistryPort)
	if err != nil {
		return "", err
	}
	address, _, _ = strings.Cut(address, "\n")
	if address == "" {
		return "", errors.New("docker publishes no port of the container " + RegistryName)
	}
	return address, nil
}
