package release

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

// BundleFile is the sigstore bundle of the record, beside RecordFile in Options.Dist.
const BundleFile = RecordFile + ".sigstore.json"

// signable is the record in the form in which it is signed.
func (r Record) signable() (attest.ReleaseRecord, error) {
	data, err := r.encode()
	if err != nil {
		return attest.ReleaseRecord{}, err
	}
	record := attest.ReleaseRecord{SHA256: checksum.Bytes(data), Filters: make(map[string]json.RawMessage)}
	for _, f := range r.Filters {
		if record.Filters[f.Name], err = r.of(f); err != nil {
			return attest.ReleaseRecord{}, err
		}
	}
	return record, nil
}

// of is the record of one filter without the others, as JSON.
func (r Record) of(f FilterRecord) (json.RawMessage, error) {
	r.Filters = []FilterRecord{f}
	return json.Marshal(r)
}

// Signed compares the record with what is signed, as attest.Verify found it. It returns the
// bundles that sign exactly this file, and names each field that differs from what is signed.
// What has no right signature is a problem as well.
func (r Record) Signed(file []byte, checks []attest.Check) (bundles []json.RawMessage, problems []string) {
	records := make(map[string]FilterRecord)
	for _, f := range r.Filters {
		records[f.Name] = f
	}
	sum, seen := checksum.Bytes(file), make(map[string]bool)
	for _, c := range checks {
		f, named := records[c.Filter]
		if c.What != attest.WhatRecord || !named && len(c.Records) == 0 {
			continue
		}
		if !named {
			problems = append(problems, fmt.Sprintf("filters: it does not name %s, about which a record is signed", c.Filter))
			continue
		}
		seen[c.Filter] = true
		if c.State != attest.OK {
			problems = append(problems, fmt.Sprintf("no right signature of it is beside %s: %s: %s", c.Subject, c.State, c.Detail))
			continue
		}
		found, differences := r.closest(f, c.Records, sum)
		if len(differences) == 0 {
			bundles = append(bundles, found.Bundle)
			continue
		}
		problems = append(problems, differences...)
	}
	for _, f := range r.Filters {
		if !seen[f.Name] {
			problems = append(problems, fmt.Sprintf("filters: it names %s, and no record of that is signed", f.Name))
		}
	}
	slices.Sort(problems)
	return bundles, slices.Compact(problems)
}

// closest returns the signed record that differs the least, and how.
func (r Record) closest(f FilterRecord, signed []attest.SignedRecord, sum string) (found attest.SignedRecord, fewest []string) {
	ours, err := r.of(f)
	if err != nil {
		return found, []string{err.Error()}
	}
	for i, s := range signed {
		differences := differences(f.Name, ours, s.Record)
		if len(differences) == 0 && s.SHA256 != sum {
			differences = []string{fmt.Sprintf("its filters or its text are not those that are signed: its sha256 is %s, and signed is %s", sum, s.SHA256)}
		}
		if i == 0 || len(differences) < len(fewest) {
			found, fewest = s, differences
		}
	}
	return found, fewest
}

// differences names the fields in which two records of a filter differ.
func differences(filter string, ours, signed []byte) []string {
	var a, b map[string]any
	if err := json.Unmarshal(ours, &a); err != nil {
		return []string{err.Error()}
	}
	if err := json.Unmarshal(signed, &b); err != nil {
		return []string{fmt.Sprintf("what is signed is no record: %v", err)}
	}
	var all []string
	compare("", a, b, func(field string, a, b any) {
		all = append(all, fmt.Sprintf("%s of %s is %s, and signed is %s", field, filter, shown(a), shown(b)))
	})
	return all
}

// compare reports the innermost fields in which two JSON values differ.
func compare(field string, a, b any, report func(field string, a, b any)) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			keys := maps.Clone(x)
			maps.Copy(keys, y)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				inner := key
				if field != "" {
					inner = field + "." + key
				}
				compare(inner, x[key], y[key], report)
			}
			return
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				compare(fmt.Sprintf("%s[%d]", field, i), x[i], y[i], report)
			}
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		report(field, a, b)
	}
}

// shown is a JSON value for people.
func shown(value any) string {
	const most = 200 // bytes
	if value == nil {
		return "missing"
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	if len(data) > most {
		return string(data[:most]) + "…"
	}
	return string(data)
}
