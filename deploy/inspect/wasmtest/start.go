package wasmtest

import "slices"

// Start is a module that starts, or fails to start in one particular way.
type Start struct {
	Options
	// From is the first Envoy version, as major.minor, that treats the module as the newest
	// version does. Empty: all do.
	From string
	// Reason is how Envoy's reason begins when it refuses the module with a configuration of
	// 10 bytes; empty if it loads the module.
	Reason string
	// Fails says that Envoy loads the module, and that every request fails.
	Fails bool
}

const wasi = "wasi_snapshot_preview1"

// Starts are the modules, by what they do at start.
func Starts() map[string]Start {
	return map[string]Start{
		"nothing":                  {Options: Filter()},
		"reactor with a _start":    {Options: does("_start", ":", Unreachable)},
		"proc_exit in _start":      {Options: command(calls(wasi, "proc_exit", "i:", "_start", ":")), Reason: "_start calls wasi_snapshot_preview1.proc_exit, which Envoy forbids there: a filter does not end"},
		"_start":                   {Options: command(does("_start", ":", []byte{nop}))},
		"trap in _initialize":      {Options: does("_initialize", ":", Unreachable), Reason: "_initialize traps: unreachable"},
		"trap in main":             {Options: does("main", "ii:i", Unreachable), Reason: "main traps: unreachable"},
		"main of another type":     {Options: does("main", ":", []byte{nop}), Reason: "export main has type () -> (), Envoy calls it as (i32, i32) -> (i32)"},
		"command with such a main": {Options: command(does("main", ":", []byte{nop}), Func{Name: "_start", Signature: ":"})},
		"trap in __main_void":      {Options: does("__main_void", ":i", Unreachable), From: "1.39", Reason: "__main_void traps: unreachable"},
		"endless recursion":        {Options: does("_initialize", ":", []byte{call, 3}), Reason: "_initialize traps: stack overflow"},

		"trap in proxy_on_context_create": {Options: does("proxy_on_context_create", "ii:", Unreachable), Reason: "proxy_on_context_create traps: unreachable", Fails: true},
		"and false from proxy_on_vm_start": {Options: does("proxy_on_vm_start", "ii:i", False, does("proxy_on_context_create", "ii:", Unreachable).Exports...),
			Reason: "proxy_on_context_create traps: unreachable"},
		"trap in proxy_on_vm_start":      {Options: does("proxy_on_vm_start", "ii:i", Unreachable), Reason: "proxy_on_vm_start traps: unreachable"},
		"false from proxy_on_vm_start":   {Options: does("proxy_on_vm_start", "ii:i", False), Reason: "proxy_on_vm_start returns false"},
		"trap in proxy_on_configure":     {Options: does("proxy_on_configure", "ii:i", Unreachable), Reason: "proxy_on_configure traps: unreachable"},
		"false from proxy_on_configure":  {Options: does("proxy_on_configure", "ii:i", False), Reason: "proxy_on_configure refuses the configuration"},
		"proc_exit in proxy_on_vm_start": {Options: calls(wasi, "proc_exit", "i:", "proxy_on_vm_start", "ii:i")},

		"proxy_get_property in _initialize":                 forbidden("env", "proxy_get_property", "iiii:i"),
		"proxy_define_metric in _initialize":                forbidden("env", "proxy_define_metric", "iiii:i"),
		"proxy_set_tick_period_milliseconds in _initialize": forbidden("env", "proxy_set_tick_period_milliseconds", "i:i"),
		"proxy_get_current_time_nanoseconds in _initialize": forbidden("env", "proxy_get_current_time_nanoseconds", "i:i"),
		"pthread_equal in _initialize":                      forbidden("env", "pthread_equal", "ii:i"),
		"sched_yield in _initialize":                        forbidden(wasi, "sched_yield", ":i"),
		"path_open in _initialize":                          forbidden(wasi, "path_open", "iiiiiIIii:i"),
		"fd_close in _initialize":                           forbidden(wasi, "fd_close", "i:i"),
		"proxy_log in _initialize":                          {Options: calls("env", "proxy_log", "iii:i", "_initialize", ":")},
		"fd_prestat_get in _initialize":                     {Options: calls(wasi, "fd_prestat_get", "ii:i", "_initialize", ":")},
		"fd_fdstat_get in _initialize":                      {Options: calls(wasi, "fd_fdstat_get", "ii:i", "_initialize", ":"), From: "1.33"},
		"emscripten_notify_memory_growth in _initialize":    {Options: calls("env", "emscripten_notify_memory_growth", "i:", "_initialize", ":"), From: "1.37"},
		"poll_oneoff in _initialize":                        {Options: calls(wasi, "poll_oneoff", "iiii:i", "_initialize", ":"), From: "1.39"},

		"trap in the start function":          {Options: startFunction(does("x", ":", Unreachable)), Reason: "its instantiation traps: unreachable"},
		"proxy_log in the start function":     {Options: startFunction(calls("env", "proxy_log", "iii:i", "x", ":")), Reason: "the start function calls env.proxy_log, and Envoy ends when it does"},
		"pthread_equal in the start function": {Options: startFunction(calls("env", "pthread_equal", "ii:i", "x", ":"))},

		"trap in the allocator":            {Options: asks(Unreachable), Reason: "proxy_on_memory_allocate traps: unreachable", Fails: true},
		"forbidden call in the allocator":  {Options: asks(append(Call(1, Func{Signature: "i:i"}), True...), Func{Module: "env", Name: "proxy_set_tick_period_milliseconds", Signature: "i:i"}), Reason: "proxy_on_memory_allocate calls env.proxy_set_tick_period_milliseconds, which Envoy forbids there", Fails: true},
		"asks for its configuration":       {Options: asks([]byte{i32Const, 0xc0, 0})}, // 64
		"1 GiB of memory":                  {Options: pages(1 << 14)},
		"more than 1 GiB of memory":        {Options: pages(1<<14 + 1), Reason: "it wants 1024 MiB of memory at first, and Envoy gives 1024 at most"},
		"4 GiB of memory":                  {Options: pages(1 << 16), Reason: "it wants 4096 MiB of memory at first"},
		"data that the memory has no room": {Options: data(string(make([]byte, 1<<16+1))), Reason: "its instantiation traps: "},
	}
}

// Opcodes.
const (
	nop      = 0x01
	call     = 0x10
	drop     = 0x1a
	i32Const = 0x41
)

// does is Filter with a function that runs the given code, and with further exports, which
// replace those of the same name.
func does(name, signature string, code []byte, exports ...Func) Options {
	o := Filter()
	for _, f := range append(exports, Func{Name: name, Signature: signature, Code: code}) {
		o.Exports = slices.DeleteFunc(o.Exports, func(old Func) bool { return old.Name == f.Name })
		o.Exports = append(o.Exports, f)
	}
	return o
}

// calls is Filter with a function that calls a host function, and returns true.
func calls(module, function, signature, name, nameSignature string) Options {
	imported := Func{Module: module, Name: function, Signature: signature}
	code := Call(0, imported)
	if nameSignature != ":" {
		code = append(code, True...)
	}
	o := does(name, nameSignature, code)
	o.Imports = []Func{imported}
	return o
}

func forbidden(module, function, signature string) Start {
	return Start{
		Options: calls(module, function, signature, "_initialize", ":"),
		Reason:  "_initialize calls " + module + "." + function + ", which Envoy forbids there",
	}
}

// command is a module without _initialize.
func command(o Options, exports ...Func) Options {
	o.Exports = slices.DeleteFunc(o.Exports, func(f Func) bool { return f.Name == "_initialize" })
	o.Exports = append(o.Exports, exports...)
	return o
}

// startFunction is a module whose last export is its start function.
func startFunction(o Options) Options {
	o.Start = len(o.Exports)
	return o
}

func pages(n int) Options {
	o := Filter()
	o.Pages = n
	return o
}

func data(data string) Options {
	o := Filter()
	o.Data = data
	return o
}

// asks reads its configuration in proxy_on_configure. Its allocator runs the given code.
func asks(code []byte, imports ...Func) Options {
	o := does("proxy_on_memory_allocate", "i:i", code, Func{Name: "proxy_on_configure", Signature: "ii:i", Code: []byte{
		i32Const, 7, // the plugin's configuration
		i32Const, 0, i32Const, 10, // from 0, 10 bytes
		i32Const, 0, i32Const, 4, // to where the address and the size go
		call, 0, drop,
		i32Const, 1,
	}})
	o.Imports = append([]Func{{Module: "env", Name: "proxy_get_buffer_bytes", Signature: "iiiii:i"}}, imports...)
	return o
}
