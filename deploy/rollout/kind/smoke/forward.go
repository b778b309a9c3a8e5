package smoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// tunnel does what "kubectl port-forward" does, but opens again after a failure: the
// API server ends a whole tunnel when one connection through it is refused.
type tunnel struct {
	// Address is the local end: host and port, the same as long as it is open.
	Address string
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

// openTunnel returns once connections to Address reach the port of the pod.
func openTunnel(ctx context.Context, config *rest.Config, client kubernetes.Interface, namespace, pod string, port int) (*tunnel, error) {
	url := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	overWebsocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	// As in kubectl: servers before 1.31, and proxies in between, know only one of the
	// two.
	dialer := portforward.NewFallbackDialerForStreaming(overWebsocket, spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url),
		func(err error) bool { return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) })

	// The tunnel outlives ctx.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	t := &tunnel{stop: stop}
	opened := make(chan error, 1)
	t.ended.Go(func() { t.keepOpen(running, dialer, port, opened) })
	select {
	case err = <-opened:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, err)
	}
	return t, nil
}

// reopenPause limits how often a pod that is gone is asked for.
const reopenPause = 100 * time.Millisecond

func (t *tunnel) keepOpen(ctx context.Context, dialer httpstream.Dialer, port int, opened chan<- error) {
	local := 0
	for ctx.Err() == nil {
		ready := make(chan struct{})
		forwarder, err := portforward.NewForStreaming(dialer, []string{fmt.Sprintf("%d:%d", local, port)}, ctx.Done(), ready, io.Discard, io.Discard)
		if err == nil {
			ended := make(chan error, 1)
			go func() { ended <- forwarder.ForwardPorts() }()
			select {
			case <-ready:
				if ports, portsErr := forwarder.GetPorts(); portsErr == nil && local == 0 {
					local = int(ports[0].Local)
					t.Address = fmt.Sprintf("127.0.0.1:%d", local)
					opened <- nil
				}
				err = <-ended
			case err = <-ended:
			}
		}
		if local == 0 {
			opened <- errors.Join(errors.New("it cannot be opened"), err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(reopenPause):
		}
	}
}

// Close ends all connections.
func (t *tunnel) Close() {
	t.stop()
	t.ended.Wait()
}
