package play

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// statistics are a proxy's statistics by their names: counters and gauges, and histograms.
type statistics struct {
	numbers    map[string]int64
	histograms map[string]histogram
	counters   map[string]bool // the numbers that only grow, if that matters
}

// histogram has all samples since the proxy started.
type histogram struct {
	samples   int64
	quantiles map[string]float64 // such as P50
}

// readStatistics reads /stats.
func (p *player) readStatistics(ctx context.Context) (statistics, error) {
	text, err := p.place.Admin(ctx, StatisticsPage)
	s := parseStatistics(text)
	if err != nil || p.fresh {
		return s, err
	}
	text, err = p.place.Admin(ctx, "/stats?type=Counters")
	for name := range parseStatistics(text).numbers {
		s.counters[name] = true
	}
	return s, err
}

// parseStatistics parses Envoy's text. A histogram has three indented lines below its name.
//
// Reference: https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin#get--stats
func parseStatistics(text string) statistics {
	s := statistics{numbers: map[string]int64{}, histograms: map[string]histogram{}, counters: map[string]bool{}}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if totals, ok := strings.CutPrefix(line, "  totals="); ok {
			h := histogram{quantiles: map[string]float64{}}
			for _, bucket := range strings.Split(totals, ",") { // lower,width:samples,lower,...
				_, samples, ok := strings.Cut(bucket, ":")
				if n, err := strconv.ParseInt(strings.TrimSpace(samples), 10, 64); ok && err == nil {
					h.samples += n
				}
			}
			s.histograms[last] = h
			continue
		}
		if summary, ok := strings.CutPrefix(line, "  summary="); ok {
			for _, field := range strings.Fields(summary) { // P50(interval,total)
				name, values, _ := strings.Cut(field, "(")
				_, total, _ := strings.Cut(strings.TrimSuffix(values, ")"), ",")
				if n, err := strconv.ParseFloat(total, 64); err == nil && s.histograms[last].quantiles != nil {
					s.histograms[last].quantiles[name] = n
				}
			}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(line, " ") || name == "" {
			continue
		}
		last = name
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
			s.numbers[name] = n
		}
		if strings.TrimSpace(value) == "No recorded values" {
			s.histograms[name] = histogram{}
		}
	}
	return s
}

// readPrometheus reads /stats/prometheus.
func (p *player) readPrometheus(ctx context.Context) (statistics, error) {
	text, err := p.place.Admin(ctx, PrometheusPage)
	return parsePrometheus(text), err
}

// parsePrometheus parses Prometheus's text. A name without labels is there without {}.
//
// Reference: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
func parsePrometheus(text string) statistics {
	s := statistics{numbers: map[string]int64{}, counters: map[string]bool{}}
	types := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(name, " ")
			types[name] = kind
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if n, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			name := strings.TrimSuffix(line[:i], "{}")
			family, _, _ := strings.Cut(name, "{")
			s.numbers[name], s.counters[name] = int64(n), types[family] == "counter"
		}
	}
	return s
}

// number compares one statistic. A counter that is not there has counted nothing.
func (p *player) number(what string, want scenario.Number, now, before, base statistics, name string) []mismatch {
	name = strings.TrimSuffix(name, "{}")
	value, there := now.numbers[name]
	by := value - before.numbers[name]
	if now.counters[name] {
		value -= base.numbers[name] // which others counted
	}
	limits := func(value int64, exactly, least, most *int64, unit string) []mismatch {
		seen := fmt.Sprintf("%d%s", value, unit)
		if !there && now.histograms[name].quantiles == nil {
			seen += " (there is no such statistic)"
		}
		switch {
		case exactly != nil && value != *exactly:
			return []mismatch{{what: what, want: fmt.Sprintf("%d%s", *exactly, unit), seen: seen}}
		case least != nil && value < *least:
			return []mismatch{{what: what, want: fmt.Sprintf("at least %d%s", *least, unit), seen: seen}}
		case most != nil && value > *most:
			return []mismatch{{what: what, want: fmt.Sprintf("at most %d%s", *most, unit), seen: seen}}
		}
		return nil
	}
	if want.Same != "" {
		text, err := p.expand(want.Same)
		same, parseErr := strconv.ParseInt(text, 10, 64)
		if err = errors.Join(err, parseErr); err != nil {
			return []mismatch{miss(what, err.Error(), fmt.Sprint(value))}
		}
		want.Is = &same
	}
	if want.Is != nil || want.AtLeast != nil || want.AtMost != nil {
		if m := limits(value, want.Is, want.AtLeast, want.AtMost, ""); m != nil {
			return m
		}
	}
	if want.By != nil || want.ByAtLeast != nil || want.ByAtMost != nil {
		if m := limits(by, want.By, want.ByAtLeast, want.ByAtMost, " more"); m != nil {
			return m
		}
	}
	h := now.histograms[name]
	if want.Samples != nil {
		if m := limits(h.samples-before.histograms[name].samples, want.Samples, nil, nil, " more samples"); m != nil {
			return m
		}
	}
	for _, q := range []struct {
		name   string
		limits *scenario.Limits
	}{{"P50", want.P50}, {"P90", want.P90}, {"P99", want.P99}} {
		if q.limits == nil {
			continue
		}
		value, there := h.quantiles[q.name]
		seen := fmt.Sprintf("%s %g", q.name, value)
		if !there {
			seen = "no samples"
		}
		switch {
		case q.limits.AtLeast != nil && (!there || value < *q.limits.AtLeast):
			return []mismatch{{what: what, want: fmt.Sprintf("%s at least %g", q.name, *q.limits.AtLeast), seen: seen}}
		case q.limits.AtMost != nil && (!there || value > *q.limits.AtMost):
			return []mismatch{{what: what, want: fmt.Sprintf("%s at most %g", q.name, *q.limits.AtMost), seen: seen}}
		}
	}
	return nil
}
