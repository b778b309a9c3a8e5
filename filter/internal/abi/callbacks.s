//go:build !tinygo

// An assembly file, even an empty one, tells the compiler that function
// declarations without a body are meant: see callbacks.go.
