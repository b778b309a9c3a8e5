package inspect

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// host is Envoy as a module sees it before the first request: there is a root context
// and no stream, no cluster is known, and nobody else shares its data.
//
// Reference: https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/src/exports.cc
// and https://github.com/envoyproxy/envoy/blob/main/source/extensions/common/wasm/context.cc
type host struct {
	phase         string            // which of the module's functions is called
	allowed       map[string]string // what that function may call; nil: everything
	calls         map[string]string // which of those it called, with the first Envoy that allows it
	configuration *string           // of the plugin, while the module can read it
	failed        error             // a trap after which Envoy goes on

	log     []string // of this call
	line    []byte   // text written to a file, without a line break so far
	kept    int      // bytes
	metrics map[uint64]uint64
	data    map[string]sharedData
	queues  map[string]uint64
	tokens  uint64
}

type sharedData struct {
	value string
	cas   uint64
}

func newHost() *host {
	return &host{
		calls:   map[string]string{},
		metrics: map[uint64]uint64{},
		data:    map[string]sharedData{},
		queues:  map[string]uint64{},
	}
}

const (
	keptLines  = 2        // of the first, and of the last
	maxLogLine = 300      // bytes
	maxKept    = 64 << 20 // bytes of shared data and the like
)

// Results of the functions of env.
//
// Reference: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#proxy_status_t
const (
	statusOK = iota
	statusNotFound
	statusBadArgument
	_
	_
	_
	statusInvalidMemoryAccess
	statusEmpty
	statusCasMismatch
)

// Results of the functions of WASI.
//
// Reference: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#errno
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoNoent   = 44
	errnoNosys   = 52
	errnoNotsup  = 58
)

// guest is the module in a call of the host.
type guest struct {
	api.Module
	ctx  context.Context
	host *host
}

// offer gives the runtime the host functions that the module imports.
func (h *host) offer(ctx context.Context, runtime wazero.Runtime, compiled wazero.CompiledModule) error {
	builders := map[string]wazero.HostModuleBuilder{}
	offered := map[string]bool{}
	for _, def := range compiled.ImportedFunctions() {
		from, name, _ := def.Import()
		full := from + "." + name
		if offered[full] {
			continue
		}
		offered[full] = true
		if builders[from] == nil {
			builders[from] = runtime.NewHostModuleBuilder(from)
		}
		results := len(def.ResultTypes())
		function := hostFunctions[name]
		builders[from].NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			h.permit(full, name)
			var result uint64
			if function != nil {
				result = function(guest{mod, ctx, h}, stack)
			}
			if results > 0 {
				stack[0] = result
			}
		}), def.ParamTypes(), def.ResultTypes()).Export(name)
	}
	for _, from := range slices.Sorted(maps.Keys(builders)) {
		if _, err := builders[from].Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// permit traps where Envoy traps a call of the host.
func (h *host) permit(full, name string) {
	if h.allowed == nil {
		return
	}
	since, ok := h.allowed[name]
	if !ok {
		panic(&forbiddenCall{h.phase, full})
	}
	h.calls[full] = since
}

// keep counts the bytes that the host keeps for the module.
func (h *host) keep(bytes int) {
	if h.kept += bytes; h.kept > maxKept {
		panic(fmt.Errorf("it hands the host more than %d MiB to keep; the trial ends there", maxKept>>20))
	}
}

// logLine keeps the first and the last lines: a panic starts with its reason, and a filter
// that gives up ends with it.
func (h *host) logLine(line string) {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "?"))
	if line == "" {
		return
	}
	h.log = append(h.log, strings.ToValidUTF8(line[:min(len(line), maxLogLine)], "?"))
	if len(h.log) > 2*keptLines {
		h.log = slices.Delete(h.log, keptLines, keptLines+1)
	}
}

// write writes to standard output or error, to which a runtime writes piece by piece.
func (h *host) write(text []byte) {
	for {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		h.line = append(h.line, line[:min(len(line), maxLogLine-min(len(h.line), maxLogLine))]...)
		if !ended {
			return
		}
		h.logLine(string(h.line))
		h.line, text = nil, rest
	}
}

// logged returns what the module logged during this call, for an error message.
func (h *host) logged() string {
	h.logLine(string(h.line))
	h.line = nil
	if len(h.log) == 0 {
		return ", and logs nothing"
	}
	quoted := make([]string, len(h.log))
	for i, line := range h.log {
		quoted[i] = fmt.Sprintf("%q", line)
	}
	return ", and logs " + strings.Join(quoted, ", ")
}

func (g guest) read(ptr, size uint64) ([]byte, bool) {
	if g.Memory() == nil {
		return nil, false
	}
	return g.Memory().Read(uint32(ptr), uint32(size))
}

func (g guest) write32(ptr, value uint64) bool {
	return g.Memory() != nil && g.Memory().WriteUint32Le(uint32(ptr), uint32(value))
}

func (g guest) write64(ptr, value uint64) bool {
	return g.Memory() != nil && g.Memory().WriteUint64Le(uint32(ptr), value)
}

// status is the result of an env function that writes to the module's memory.
func status(written bool) uint64 {
	if written {
		return statusOK
	}
	return statusInvalidMemoryAccess
}

// errno is the result of a WASI function that writes to the module's memory.
func errno(written bool) uint64 {
	if written {
		return errnoSuccess
	}
	return errnoFault
}

// give copies data into memory that the module allocates, and writes its address and size to
// ptrPtr and sizePtr.
func (g guest) give(data string, ptrPtr, sizePtr uint64) bool {
	var ptr uint64
	if data != "" {
		var ok bool
		if ptr, ok = g.allocate(uint64(len(data))); !ok || !g.Memory().WriteString(uint32(ptr), data) {
			return false
		}
	}
	return g.write32(ptrPtr, ptr) && g.write32(sizePtr, uint64(len(data)))
}

func (g guest) allocate(size uint64) (ptr uint64, ok bool) {
	allocate := g.ExportedFunction("malloc")
	if allocate == nil {
		allocate = g.ExportedFunction("proxy_on_memory_allocate")
	}
	if allocate == nil || g.Memory() == nil {
		return 0, false
	}
	phase := g.host.phase
	g.host.phase, g.host.allowed = allocate.Definition().ExportNames()[0], inMalloc
	results, err := allocate.Call(g.ctx, size)
	if err != nil {
		if g.ctx.Err() != nil {
			panic(err)
		}
		g.host.failed = g.host.explain(g.host.phase, err)
	}
	g.host.phase, g.host.allowed = phase, nil
	if err != nil || len(results) == 0 || results[0] == 0 {
		return 0, false
	}
	return results[0], true
}

// buffer returns the content of a buffer type; nil if there is no such buffer.
//
// Reference: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#proxy_buffer_type_t
func (h *host) buffer(kind uint64) *string {
	const httpCallResponseBody, pluginConfiguration, last = 4, 7, 8
	switch {
	case kind == pluginConfiguration:
		return h.configuration
	case kind == httpCallResponseBody || kind > last:
		return nil
	}
	return new(string)
}

// properties are the ones that exist without a stream. Envoy has more, about its node and its
// listener, but they differ from proxy to proxy.
var properties = []string{"plugin_name", "plugin_root_id", "plugin_vm_id"}

// hostFunctions are the functions of the host by name; env and WASI share no name. Each gets
// its arguments, and returns its result. Functions that only return 0 are left out.
var hostFunctions = map[string]func(g guest, a []uint64) uint64{
	"proxy_log": func(g guest, a []uint64) uint64 {
		const critical = 5
		message, ok := g.read(a[1], a[2])
		switch {
		case a[0] > critical:
			return statusBadArgument
		case ok:
			g.host.logLine(string(message))
		}
		return status(ok)
	},
	"proxy_get_log_level": func(g guest, a []uint64) uint64 {
		const info = 2
		return status(g.write32(a[0], info))
	},
	"proxy_get_status": func(g guest, a []uint64) uint64 {
		return status(g.write32(a[0], 0) && g.give("", a[1], a[2]))
	},
	"proxy_set_property": answers(statusNotFound),
	"proxy_get_property": func(g guest, a []uint64) uint64 {
		path, ok := g.read(a[0], a[1])
		switch {
		case !ok:
			return statusInvalidMemoryAccess
		case !slices.Contains(properties, strings.TrimRight(string(path), "\x00")):
			return statusNotFound
		}
		return status(g.give("", a[2], a[3]))
	},
	"proxy_get_shared_data": func(g guest, a []uint64) uint64 {
		key, ok := g.read(a[0], a[1])
		if !ok {
			return statusInvalidMemoryAccess
		}
		data, ok := g.host.data[string(key)]
		if !ok {
			return statusNotFound
		}
		return status(g.give(data.value, a[2], a[3]) && g.write32(a[4], data.cas))
	},
	"proxy_set_shared_data": func(g guest, a []uint64) uint64 {
		key, ok := g.read(a[0], a[1])
		value, okValue := g.read(a[2], a[3])
		if !ok || !okValue {
			return statusInvalidMemoryAccess
		}
		old, exists := g.host.data[string(key)]
		if cas := a[4]; exists && cas != 0 && cas != old.cas {
			return statusCasMismatch
		}
		g.host.keep(len(key) + len(value))
		g.host.data[string(key)] = sharedData{string(value), old.cas + 1}
		return statusOK
	},
	"proxy_register_shared_queue": func(g guest, a []uint64) uint64 {
		name, ok := g.read(a[0], a[1])
		if !ok {
			return statusInvalidMemoryAccess
		}
		token, ok := g.host.queues[string(name)]
		if !ok {
			g.host.keep(len(name))
			token = uint64(len(g.host.queues) + 1)
			g.host.queues[string(name)] = token
		}
		return status(g.write32(a[2], token))
	},
	"proxy_resolve_shared_queue": func(g guest, a []uint64) uint64 {
		name, ok := g.read(a[2], a[3])
		if !ok {
			return statusInvalidMemoryAccess
		}
		token, ok := g.host.queues[string(name)]
		if !ok {
			return statusNotFound
		}
		return status(g.write32(a[4], token))
	},
	"proxy_enqueue_shared_queue": func(g guest, a []uint64) uint64 { return g.host.queue(a[0], statusOK) },
	"proxy_dequeue_shared_queue": func(g guest, a []uint64) uint64 { return g.host.queue(a[0], statusEmpty) },

	"proxy_get_header_map_value":     noStream,
	"proxy_add_header_map_value":     noStream,
	"proxy_replace_header_map_value": noStream,
	"proxy_remove_header_map_value":  noStream,
	"proxy_set_header_map_pairs":     noStream,
	"proxy_get_header_map_size":      noStream,
	"proxy_get_header_map_pairs":     func(g guest, a []uint64) uint64 { return status(g.give("", a[1], a[2])) },
	"proxy_set_buffer_bytes":         noStream,
	"proxy_get_buffer_status": func(g guest, a []uint64) uint64 {
		buffer := g.host.buffer(a[0])
		if buffer == nil {
			return statusNotFound
		}
		return status(g.write32(a[1], uint64(len(*buffer))) && g.write32(a[2], 0))
	},
	"proxy_get_buffer_bytes": func(g guest, a []uint64) uint64 {
		buffer := g.host.buffer(a[0])
		if buffer == nil {
			return statusNotFound
		}
		size := uint64(len(*buffer))
		from := min(a[1], size)
		return status(g.give((*buffer)[from:min(from+a[2], size)], a[3], a[4]))
	},
	"proxy_get_configuration": func(g guest, a []uint64) uint64 {
		if g.host.configuration == nil {
			return status(g.give("", a[0], a[1]))
		}
		return status(g.give(*g.host.configuration, a[0], a[1]))
	},

	// The proxy is assumed to have the cluster; the answer never comes.
	"proxy_http_call":   func(g guest, a []uint64) uint64 { return g.token(a[9]) },
	"proxy_grpc_call":   func(g guest, a []uint64) uint64 { return g.token(a[11]) },
	"proxy_grpc_stream": func(g guest, a []uint64) uint64 { return g.token(a[8]) },

	"proxy_get_current_time_nanoseconds": func(g guest, a []uint64) uint64 {
		return status(g.write64(a[0], uint64(time.Now().UnixNano())))
	},
	"proxy_define_metric": func(g guest, a []uint64) uint64 {
		kind := a[0]
		if _, ok := g.read(a[1], a[2]); !ok {
			return statusInvalidMemoryAccess
		}
		if kind > metricHistogram {
			return statusBadArgument
		}
		g.host.keep(8)
		id := uint64(len(g.host.metrics)+1)<<metricBits | kind
		g.host.metrics[id] = 0
		return status(g.write32(a[3], id))
	},
	"proxy_increment_metric": func(g guest, a []uint64) uint64 {
		id, offset := a[0], int64(a[1])
		if kind := id & metricMask; kind > metricGauge || kind == metricCounter && offset <= 0 {
			return statusBadArgument
		}
		return g.host.metric(id, func(value uint64) uint64 { return value + uint64(offset) })
	},
	"proxy_record_metric": func(g guest, a []uint64) uint64 {
		id := a[0]
		return g.host.metric(id, func(value uint64) uint64 {
			if id&metricMask == metricCounter {
				return value + a[1]
			}
			return a[1]
		})
	},
	"proxy_get_metric": func(g guest, a []uint64) uint64 {
		value, ok := g.host.metrics[a[0]]
		switch {
		case a[0]&metricMask > metricGauge:
			return statusBadArgument
		case !ok:
			return statusNotFound
		}
		return status(g.write64(a[1], value))
	},
	"proxy_set_effective_context": func(_ guest, a []uint64) uint64 {
		if a[0] > rootContext {
			return statusBadArgument
		}
		return statusOK
	},
	"proxy_done":                  answers(statusNotFound),
	"proxy_call_foreign_function": answers(statusNotFound),
	"pthread_equal": func(_ guest, a []uint64) uint64 {
		if a[0] == a[1] {
			return 1
		}
		return 0
	},

	"fd_write":            func(g guest, a []uint64) uint64 { return g.writev(a[0], a[1], a[2], a[3]) },
	"fd_pwrite":           func(g guest, a []uint64) uint64 { return g.writev(a[0], a[1], a[2], a[4]) },
	"fd_read":             answers(errnoNosys),
	"fd_pread":            answers(errnoNosys),
	"fd_fdstat_set_flags": answers(errnoNosys),
	"fd_prestat_get":      answers(errnoBadf),
	"fd_prestat_dir_name": answers(errnoNosys),
	"fd_filestat_get":     answers(errnoBadf),
	"path_open":           answers(errnoNoent),
	"fd_fdstat_get": func(g guest, a []uint64) uint64 {
		if a[0] != stdout && a[0] != stderr {
			return errnoBadf
		}
		const mayWrite = 64
		return errno(g.write64(a[1], 0) && g.write64(a[1]+8, mayWrite) && g.write64(a[1]+16, 0))
	},
	"fd_allocate":           standardOnly,
	"fd_datasync":           standardOnly,
	"fd_fdstat_set_rights":  standardOnly,
	"fd_filestat_set_size":  standardOnly,
	"fd_filestat_set_times": standardOnly,
	"fd_sync":               standardOnly,
	"fd_tell": func(g guest, a []uint64) uint64 {
		if a[0] != stdout && a[0] != stderr {
			return errnoBadf
		}
		return errno(g.write64(a[1], 0))
	},
	"fd_renumber": answers(errnoBadf),
	"fd_readdir": func(g guest, a []uint64) uint64 {
		const errnoEnvoy = 20 // Envoy's comment says "not a directory"; WASI has another number for that
		if !g.write32(a[4], 0) {
			return errnoFault
		}
		return errnoEnvoy
	},
	"path_create_directory":   answers(errnoNotsup),
	"path_filestat_get":       answers(errnoNotsup),
	"path_filestat_set_times": answers(errnoNotsup),
	"path_link":               answers(errnoNotsup),
	"path_readlink":           answers(errnoNotsup),
	"path_remove_directory":   answers(errnoNotsup),
	"path_rename":             answers(errnoNotsup),
	"path_symlink":            answers(errnoNotsup),
	"path_unlink_file":        answers(errnoNotsup),
	"sock_accept":             answers(errnoNotsup),
	"sock_recv":               answers(errnoNotsup),
	"sock_send":               answers(errnoNotsup),
	"sock_shutdown":           answers(errnoNotsup),
	"environ_sizes_get":       func(g guest, a []uint64) uint64 { return errno(g.write32(a[0], 0) && g.write32(a[1], 0)) },
	"args_sizes_get":          func(g guest, a []uint64) uint64 { return errno(g.write32(a[0], 0) && g.write32(a[1], 0)) },
	"clock_time_get": func(g guest, a []uint64) uint64 {
		if a[0] > clockMonotonic {
			return errnoNotsup
		}
		return errno(g.write64(a[2], uint64(time.Now().UnixNano())))
	},
	"clock_res_get": func(g guest, a []uint64) uint64 {
		if a[0] > clockMonotonic {
			return errnoNotsup
		}
		return errno(g.write64(a[1], 1))
	},
	"random_get": func(g guest, a []uint64) uint64 {
		const most = 64 << 10
		if a[1] > most {
			return errnoInval
		}
		bytes, ok := g.read(a[0], a[1])
		if ok {
			_, _ = rand.Read(bytes) // never fails
		}
		return errno(ok)
	},
	"poll_oneoff": func(g guest, a []uint64) uint64 { return errno(g.write32(a[3], 0)) },
	"proc_exit": func(g guest, a []uint64) uint64 {
		g.host.logLine(fmt.Sprintf("proc_exit(%d)", a[0])) // and goes on, as Envoy does
		return 0
	},
}

const (
	stdout = 1
	stderr = 2

	clockMonotonic = 1 // after the real one, which is 0

	metricCounter   = 0
	metricGauge     = 1
	metricHistogram = 2
	metricMask      = 3
	metricBits      = 2
)

func noStream(guest, []uint64) uint64 { return statusBadArgument }

func answers(result uint64) func(guest, []uint64) uint64 {
	return func(guest, []uint64) uint64 { return result }
}

// standardOnly accepts the only two files, standard output and error, and does nothing.
func standardOnly(_ guest, a []uint64) uint64 {
	if a[0] != stdout && a[0] != stderr {
		return errnoBadf
	}
	return errnoSuccess
}

// queue returns the given status if the queue with that token exists.
func (h *host) queue(token, status uint64) uint64 {
	if token == 0 || token > uint64(len(h.queues)) {
		return statusNotFound
	}
	return status
}

func (h *host) metric(id uint64, change func(uint64) uint64) uint64 {
	value, ok := h.metrics[id]
	if !ok {
		return statusNotFound
	}
	h.metrics[id] = change(value)
	return statusOK
}

// token writes the token of a new call to a cluster.
func (g guest) token(ptr uint64) uint64 {
	g.host.tokens++
	return status(g.write32(ptr, g.host.tokens))
}

// writev writes to the log what a list of pointers and sizes points to.
func (g guest) writev(file, list, count, writtenPtr uint64) uint64 {
	if file != stdout && file != stderr {
		return errnoBadf
	}
	var written uint64
	for i := range count {
		entry, ok := g.read(list+8*i, 8)
		if !ok {
			return errnoFault
		}
		text, ok := g.read(uint64(binary.LittleEndian.Uint32(entry)), uint64(binary.LittleEndian.Uint32(entry[4:])))
		if !ok {
			return errnoFault
		}
		written += uint64(len(text))
		g.host.write(text)
	}
	return errno(g.write32(writtenPtr, written))
}
