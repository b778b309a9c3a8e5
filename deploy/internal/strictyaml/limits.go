package strictyaml

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// What a file may have. People write much less. The YAML library takes time and memory
// that grow with the square of the tokens and of the depth.
const (
	maxSize   = 1 << 20 // bytes
	maxTokens = 20_000
	maxDepth  = 100
)

// checkLimits refuses a text that the YAML library could not parse in a second.
func checkLimits(data []byte) error {
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxTokens {
		return &placedError{line: tokens[maxTokens].Position.Line, column: tokens[maxTokens].Position.Column, err: fmt.Errorf("the file has more values than are read here (%d words and signs); write fewer", maxTokens)}
	}
	if deep := tooDeep(tokens); deep != nil {
		return &placedError{line: deep.Position.Line, column: deep.Position.Column, err: fmt.Errorf("nested deeper than %d levels", maxDepth)}
	}
	return nil
}

// tooDeep returns the token at which a text is nested too deep, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, line := 0, 0
	var columns []int // of the blocks around the token
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		}
		if t.Position.Line != line || t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType {
			line = t.Position.Line
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		if flow+len(columns) > maxDepth {
			return t
		}
	}
	return nil
}
