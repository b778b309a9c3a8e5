package variables

// Bench is what bench reads.
type Bench struct {
	Wasm []string `env:"BENCH_WASM" group:"bench" doc:"wasm files for bench to measure beside the filters, separated by commas; one whose name begins with a filter's is configured like it" default:"none"`
	Only string   `env:"BENCH_ONLY" group:"bench" doc:"the one part to bench: filters or pipeline" default:"both"`
	All  bool     `env:"BENCH_ALL" group:"bench" doc:"bench with an upstream, further configurations and more rounds, and the pipeline with 50 filters and all its releases" default:"false"`
}
