package scenario

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml"
)

// Duration is a time such as 300ms, 5s or 2m.
type Duration time.Duration

var _ strictyaml.Union = (*Duration)(nil)

// SetShort reads a duration in Go's notation.
func (d *Duration) SetShort(value any) error {
	text, _ := value.(string)
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed <= 0 {
		return fmt.Errorf("%v is no duration above zero; write one such as 300ms or 5s", value)
	}
	*d = Duration(parsed)
	return nil
}

// UnmarshalJSON reads a duration.
func (d *Duration) UnmarshalJSON(data []byte) error { return strictyaml.UnmarshalUnion(data, d, nil) }

// Values are one text or a list of texts.
type Values []string

var _ strictyaml.Union = (*Values)(nil)

// SetShort reads a text or a list of texts.
func (v *Values) SetShort(value any) error {
	list, ok := value.([]any)
	if !ok {
		text, err := strictyaml.Text(value)
		*v = Values{text}
		return err
	}
	*v = Values{}
	for _, item := range list {
		text, err := strictyaml.Text(item)
		if err != nil {
			return err
		}
		*v = append(*v, text)
	}
	if len(*v) == 0 {
		return errors.New("the list is empty; leave it out, or write absent: true")
	}
	return nil
}

// UnmarshalJSON reads a text or a list of texts.
func (v *Values) UnmarshalJSON(data []byte) error { return strictyaml.UnmarshalUnion(data, v, nil) }

// Text is an expectation of a text, such as a header's value. Its short forms are a text, which
// must be the only value, and a list of all values in their order.
type Text struct {
	// Exactly are all values, in their order.
	Exactly Values `json:"exactly"`
	// Contains are texts that the values contain: one, or a list of which all are there.
	Contains Values `json:"contains"`
	// Pattern is a regular expression that matches a part of one of the values. What a named
	// group matches is a variable from then on: see Line.
	Pattern string `json:"pattern"`
	// Absent says that there is no value.
	Absent bool `json:"absent"`
}

var _ strictyaml.Union = (*Text)(nil)

// SetShort reads a text or a list of texts.
func (t *Text) SetShort(value any) error { return t.Exactly.SetShort(value) }

// UnmarshalJSON reads one of the forms.
func (t *Text) UnmarshalJSON(data []byte) error {
	type fields Text
	return strictyaml.UnmarshalUnion(data, t, (*fields)(t))
}

// Phrase is a part of a log line. Its short form is a text that the line contains.
type Phrase struct {
	// Contains are texts in the line: one, or a list of which it has all.
	Contains Values `json:"contains"`
	// Pattern is a regular expression that matches a part of the line.
	Pattern string `json:"pattern"`
}

var _ strictyaml.Union = (*Phrase)(nil)

// SetShort reads a text.
func (p *Phrase) SetShort(value any) error {
	text, err := strictyaml.Text(value)
	p.Contains = Values{text}
	return err
}

// UnmarshalJSON reads one of the forms.
func (p *Phrase) UnmarshalJSON(data []byte) error {
	type fields Phrase
	return strictyaml.UnmarshalUnion(data, p, (*fields)(p))
}

// Content is an expectation of a body. Its short form is the whole body as a text.
type Content struct {
	// Exactly is the whole body.
	Exactly *string `json:"exactly"`
	// Contains are texts that the body contains: one, or a list of which all are there.
	Contains Values `json:"contains"`
	// Pattern is a regular expression that matches a part of the body: see Text.
	Pattern string `json:"pattern"`
	// JSON compares values of the body, which is JSON, by their JSON paths.
	JSON map[string]JSONValue `json:"json"`
	// Size is its length in bytes.
	Size *int64 `json:"size"`
}

var _ strictyaml.Union = (*Content)(nil)

// SetShort reads a text.
func (c *Content) SetShort(value any) error {
	text, err := strictyaml.Text(value)
	c.Exactly = &text
	return err
}

// UnmarshalJSON reads one of the forms.
func (c *Content) UnmarshalJSON(data []byte) error {
	type fields Content
	return strictyaml.UnmarshalUnion(data, c, (*fields)(c))
}

// JSONValue is an expectation of a value in a JSON document: the value itself, or an object with
// the fields below.
type JSONValue struct {
	// Value is the value, as JSON has it. It is set unless one of the other fields is.
	Value any `json:"-"`
	// Null says that Value is null.
	Null bool `json:"-"`

	// Exactly is the value, for one that looks like an expectation.
	Exactly any `json:"exactly"`
	// Contains are texts that the value, a text, contains.
	Contains Values `json:"contains"`
	// Pattern is a regular expression that matches a part of the value, a text: see Text.
	Pattern string `json:"pattern"`
	// AtLeast and AtMost are the limits of the value, a number.
	AtLeast *float64 `json:"atLeast"`
	AtMost  *float64 `json:"atMost"`
	// Absent says that there is no such value.
	Absent bool `json:"absent"`
}

// jsonWords are the fields of an expectation.
var jsonWords = []string{"exactly", "contains", "pattern", "atLeast", "atMost", "absent"}

var _ strictyaml.Opener = (*JSONValue)(nil)

// Opens reports whether a mapping is the value itself: it has a field that no expectation has.
func (*JSONValue) Opens(keys []string) bool {
	return len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(jsonWords, key) })
}

// SetShort reads any value.
func (v *JSONValue) SetShort(value any) error {
	v.Value, v.Null = value, value == nil
	return nil
}

// UnmarshalJSON reads one of the forms.
func (v *JSONValue) UnmarshalJSON(data []byte) error {
	type fields JSONValue
	return strictyaml.UnmarshalUnion(data, v, (*fields)(v))
}

// Number is an expectation of a statistic. Its short form is the number itself.
type Number struct {
	// Is is the value: a counter's since the proxy started, or a gauge's now.
	Is *int64 `json:"is"`
	// Same is a text with the value, which has variables, such as ${services.auth.calls}.
	Same string `json:"same"`
	// By is how much a counter has grown.
	By *int64 `json:"by"`
	// AtLeast and AtMost are the limits of a value.
	AtLeast *int64 `json:"atLeast"`
	AtMost  *int64 `json:"atMost"`
	// ByAtLeast and ByAtMost are the limits of a counter's growth.
	ByAtLeast *int64 `json:"byAtLeast"`
	ByAtMost  *int64 `json:"byAtMost"`
	// Samples is how many samples a histogram has got.
	Samples *int64 `json:"samples"`
	// P50, P90 and P99 limit a histogram's quantiles, over all samples since the proxy started.
	P50 *Limits `json:"p50"`
	P90 *Limits `json:"p90"`
	P99 *Limits `json:"p99"`
}

// Limits are the limits of a quantile, in the histogram's unit.
type Limits struct {
	AtLeast *float64 `json:"atLeast"`
	AtMost  *float64 `json:"atMost"`
}

var _ strictyaml.Union = (*Number)(nil)

// SetShort reads a whole number.
func (n *Number) SetShort(value any) (err error) {
	n.Is, err = wholeNumber(value)
	return err
}

// UnmarshalJSON reads one of the forms.
func (n *Number) UnmarshalJSON(data []byte) error {
	type fields Number
	return strictyaml.UnmarshalUnion(data, n, (*fields)(n))
}

// Calls is an expectation of how many calls there were. Its short form is the exact number.
type Calls struct {
	// Exactly is their number.
	Exactly *int64 `json:"exactly"`
	// AtLeast and AtMost are the limits of their number.
	AtLeast *int64 `json:"atLeast"`
	AtMost  *int64 `json:"atMost"`
	// Apart is the shortest time between two of them.
	Apart Duration `json:"apart"`
}

var _ strictyaml.Union = (*Calls)(nil)

// SetShort reads a whole number.
func (c *Calls) SetShort(value any) (err error) {
	c.Exactly, err = wholeNumber(value)
	return err
}

// UnmarshalJSON reads one of the forms.
func (c *Calls) UnmarshalJSON(data []byte) error {
	type fields Calls
	return strictyaml.UnmarshalUnion(data, c, (*fields)(c))
}

// Body is a body that is sent. Its short form is a text.
type Body struct {
	// Text is the body.
	Text *string `json:"text"`
	// File is a file with the body, relative to the scenario's folder.
	File string `json:"file"`
	// Size is the number of bytes of a body of letters, up to 100 MiB.
	Size int64 `json:"size"`
}

var _ strictyaml.Union = (*Body)(nil)

// SetShort reads a text.
func (b *Body) SetShort(value any) error {
	text, err := strictyaml.Text(value)
	b.Text = &text
	return err
}

// UnmarshalJSON reads one of the forms.
func (b *Body) UnmarshalJSON(data []byte) error {
	type fields Body
	return strictyaml.UnmarshalUnion(data, b, (*fields)(b))
}

func wholeNumber(value any) (*int64, error) {
	switch n := value.(type) {
	case uint64:
		i := int64(n)
		return &i, nil
	case int64:
		return &n, nil
	}
	return nil, fmt.Errorf("%v is no whole number", value)
}
