package cost

import (
	"context"
	"io"

	"fortio.org/fortio/fhttp"
	"fortio.org/fortio/periodic"
	"fortio.org/log"
)

// resolution is the resolution of fortio's histogram, in seconds: 10 µs.
const resolution = 0.00001

// headers are those of a browser, which come with every request.
var headers = [][2]string{
	{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
	{"Accept", "application/json"},
	{"Accept-Encoding", "gzip, deflate, br"},
	{"Accept-Language", "en-US,en;q=0.9"},
	{"Authorization", "Bearer 0123456789abcdef0123456789abcdef"},
	{"Cookie", "session=0123456789abcdef"},
	{"Referer", "https://shop.example.com/carts"},
}

// load sends count requests over a few connections, each as soon as the one before is
// answered. The result lacks what only the proxy knows.
func load(ctx context.Context, url string, a asked, count int64) (Round, error) {
	log.SetLogLevelQuiet(log.Critical)
	options := &fhttp.HTTPRunnerOptions{
		RunnerOptions: periodic.RunnerOptions{
			QPS: -1, Exactly: count, NumThreads: connections,
			Percentiles: []float64{50, 99}, Resolution: resolution, Out: io.Discard,
		},
		HTTPOptions:        fhttp.HTTPOptions{URL: url + a.request.Path, MethodOverride: a.request.Method, Payload: a.body},
		AllowInitialErrors: true,
	}
	options.Init(url + a.request.Path)
	for _, h := range headers {
		if err := options.AddAndValidateExtraHeader(h[0] + ": " + h[1]); err != nil {
			return Round{}, err
		}
	}
	for name, values := range a.request.Headers {
		for _, value := range values {
			if err := options.AddAndValidateExtraHeader(name + ": " + value); err != nil {
				return Round{}, err
			}
		}
	}
	result, err := fhttp.RunHTTPTest(options)
	if err != nil {
		return Round{}, err
	}
	if ctx.Err() != nil {
		return Round{}, ctx.Err()
	}
	const micro = 1e6
	return Round{
		RequestsPerSecond: result.ActualQPS,
		P50:               result.DurationHistogram.Percentiles[0].Value * micro,
		P99:               result.DurationHistogram.Percentiles[1].Value * micro,
		Max:               result.DurationHistogram.Max * micro,
		// Each connection sends one more request at its beginning.
		Errors: max(0, count-result.RetCodes[a.status]),
	}, nil
}
