package workflows

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// scope has what an expression can name, and how the steps or jobs before it ended.
type scope struct {
	names   map[string]any
	failed  bool
	skipped bool // a needed job did not run
}

// with returns a scope that has more names.
func (s scope) with(more map[string]any) scope {
	names := map[string]any{}
	for _, each := range []map[string]any{s.names, more} {
		for name, value := range each {
			names[name] = value
		}
	}
	s.names = names
	return s
}

// expand replaces the expressions in a text. A text that is one expression has its value.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
func (s scope) expand(text string) (any, error) {
	var out strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "${{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		node, length, err := parse(after)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		value, err := s.value(node)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		if before == "" && out.Len() == 0 && strings.TrimSpace(after[length:]) == "" {
			return value, nil
		}
		out.WriteString(asText(value))
		rest = after[length:]
	}
}

// text is expand for what is a text in the end.
func (s scope) text(text string) (string, error) {
	value, err := s.expand(text)
	return asText(value), err
}

// expandAll expands every text in a value of the file.
func (s scope) expandAll(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case string:
		return s.expand(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			if all[i], err = s.expandAll(v[i]); err != nil {
				return nil, err
			}
		}
		return all, nil
	case map[string]any:
		all := map[string]any{}
		for key := range v {
			if all[key], err = s.expandAll(v[key]); err != nil {
				return nil, err
			}
		}
		return all, nil
	case uint64:
		return float64(v), nil
	case int64:
		return float64(v), nil
	}
	return value, nil
}

// condition says whether an if holds. Without one of the functions that ask how the
// steps before ended, it is "success() && (…)".
func (s scope) condition(text any) (bool, error) {
	source := strings.TrimSpace(asText(text))
	if text == nil {
		source = "success()"
	}
	if inner, ok := strings.CutPrefix(source, "${{"); ok {
		source = strings.TrimSuffix(strings.TrimSpace(inner), "}}")
	}
	node, _, err := parse(source + "}}")
	if err != nil {
		return false, fmt.Errorf("if: %s: %w", source, err)
	}
	value, err := s.value(node)
	if err != nil {
		return false, fmt.Errorf("if: %s: %w", source, err)
	}
	asks := false
	actionlint.VisitExprNode(node, func(n, _ actionlint.ExprNode, entering bool) {
		if call, ok := n.(*actionlint.FuncCallNode); ok && entering {
			switch strings.ToLower(call.Callee) {
			case "success", "failure", "always", "cancelled":
				asks = true
			}
		}
	})
	return truth(value) && (asks || !s.failed && !s.skipped), nil
}

// parse reads an expression up to its }}, and returns the length of both.
func parse(text string) (actionlint.ExprNode, int, error) {
	lexer := actionlint.NewExprLexer(text)
	node, err := actionlint.NewExprParser().Parse(lexer)
	if err != nil {
		return nil, 0, err
	}
	return node, lexer.Offset(), nil
}

func (s scope) value(node actionlint.ExprNode) (any, error) {
	switch n := node.(type) {
	case *actionlint.NullNode:
		return nil, nil
	case *actionlint.BoolNode:
		return n.Value, nil
	case *actionlint.IntNode:
		return float64(n.Value), nil
	case *actionlint.FloatNode:
		return n.Value, nil
	case *actionlint.StringNode:
		return n.Value, nil
	case *actionlint.VariableNode:
		value, ok := s.names[n.Name]
		if !ok {
			return nil, fmt.Errorf("there is no %s here", n.Name)
		}
		return value, nil
	case *actionlint.ObjectDerefNode:
		return s.member(n.Receiver, n.Property)
	case *actionlint.IndexAccessNode:
		index, err := s.value(n.Index)
		if err != nil {
			return nil, err
		}
		return s.member(n.Operand, asText(index))
	case *actionlint.NotOpNode:
		value, err := s.value(n.Operand)
		return !truth(value), err
	case *actionlint.LogicalOpNode:
		left, err := s.value(n.Left)
		if err != nil || truth(left) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
			return left, err
		}
		return s.value(n.Right)
	case *actionlint.CompareOpNode:
		left, err := s.value(n.Left)
		if err != nil {
			return nil, err
		}
		right, err := s.value(n.Right)
		if err != nil {
			return nil, err
		}
		return compare(n.Kind, left, right)
	case *actionlint.FuncCallNode:
		args := make([]any, len(n.Args))
		for i, arg := range n.Args {
			var err error
			if args[i], err = s.value(arg); err != nil {
				return nil, err
			}
		}
		return s.call(strings.ToLower(n.Callee), args)
	}
	return nil, fmt.Errorf("this runner does not know %T", node)
}

// member is null where there is nothing of that name, as on GitHub. Names have no case.
func (s scope) member(of actionlint.ExprNode, name string) (any, error) {
	value, err := s.value(of)
	if err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			if strings.EqualFold(key, name) {
				return v[key], nil
			}
		}
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i], nil
		}
	}
	return nil, nil
}

func compare(kind actionlint.CompareOpNodeKind, left, right any) (any, error) {
	same := false
	l, isText := left.(string)
	if r, ok := right.(string); ok && isText {
		same = strings.EqualFold(l, r)
	} else {
		same = number(left) == number(right)
	}
	switch kind {
	case actionlint.CompareOpNodeKindEq:
		return same, nil
	case actionlint.CompareOpNodeKindNotEq:
		return !same, nil
	case actionlint.CompareOpNodeKindLess:
		return number(left) < number(right), nil
	case actionlint.CompareOpNodeKindGreater:
		return number(left) > number(right), nil
	}
	return nil, fmt.Errorf("this runner does not know %s", kind)
}

func (s scope) call(name string, args []any) (any, error) {
	text := func(i int) string { return strings.ToLower(asText(args[i])) }
	switch {
	case name == "success" && len(args) == 0:
		return !s.failed && !s.skipped, nil
	case name == "failure" && len(args) == 0:
		return s.failed, nil
	case name == "always" && len(args) == 0:
		return true, nil
	case name == "cancelled" && len(args) == 0:
		return false, nil
	case name == "contains" && len(args) == 2:
		if list, ok := args[0].([]any); ok {
			for i := range list {
				if strings.EqualFold(asText(list[i]), asText(args[1])) {
					return true, nil
				}
			}
			return false, nil
		}
		return strings.Contains(text(0), text(1)), nil
	case name == "startswith" && len(args) == 2:
		return strings.HasPrefix(text(0), text(1)), nil
	case name == "endswith" && len(args) == 2:
		return strings.HasSuffix(text(0), text(1)), nil
	case name == "format" && len(args) > 0:
		pairs := []string{"{{", "{", "}}", "}"}
		for i, arg := range args[1:] {
			pairs = append(pairs, fmt.Sprintf("{%d}", i), asText(arg))
		}
		return strings.NewReplacer(pairs...).Replace(asText(args[0])), nil
	case name == "join" && len(args) == 2:
		list, _ := args[0].([]any)
		texts := make([]string, len(list))
		for i := range list {
			texts[i] = asText(list[i])
		}
		return strings.Join(texts, asText(args[1])), nil
	case name == "fromjson" && len(args) == 1:
		var value any
		if err := json.Unmarshal([]byte(asText(args[0])), &value); err != nil {
			return nil, fmt.Errorf("fromJSON(%q): %w", asText(args[0]), err)
		}
		return value, nil
	case name == "tojson" && len(args) == 1:
		data, err := json.MarshalIndent(args[0], "", "  ")
		return string(data), err
	}
	return nil, fmt.Errorf("this runner does not know %s with %d arguments", name, len(args))
}

func truth(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != ""
	}
	return true
}

// number is NaN for what is no number, which equals nothing.
func number(value any) float64 {
	switch v := value.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		if v == "" {
			return 0
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			return n
		}
	}
	n, _ := strconv.ParseFloat("NaN", 64)
	return n
}

func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case uint64, int64, int:
		return fmt.Sprint(v)
	}
	data, _ := json.Marshal(value)
	return string(data)
}
