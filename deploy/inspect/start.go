package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
)

// StartOptions says how to start a module. The zero value is for a module of which nothing is
// known.
type StartOptions struct {
	// Configuration is the input of proxy_on_configure. A module that refuses it is refused,
	// unless it is empty: many filters need a configuration. Default: unknown; the module gets
	// an empty one, and its answer is reported and has no other effect.
	Configuration *string
	// CallTimeout limits each call of the module. Default: 30 seconds, far more than a filter
	// needs.
	CallTimeout time.Duration
	// Memory limits the memory that the module has, in bytes. A module that asks for more is
	// not started, or its start counts as unknown if it fails then: Envoy gives it more.
	// Default: 24 MiB and twice the module's size. EnvoyMemory is for a module that one made
	// oneself.
	Memory uint64
}

// EnvoyMemory is the most that Envoy gives a module, in bytes.
const EnvoyMemory = maxPages << 16

// memory is the memory of a module that is started.
type memory struct {
	data    []byte
	most    uint64
	refused *bool // becomes true when the module asks for more
}

// Reallocate implements experimental.LinearMemory. It makes room for twice the size, so that a
// module that grows by a page at a time does not leave a copy behind for each.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.most {
		*m.refused = true
		return nil
	}
	if size > uint64(cap(m.data)) {
		grown := make([]byte, size, min(max(size, 2*uint64(len(m.data))), m.most))
		copy(grown, m.data)
		m.data = grown
	}
	m.data = m.data[:size]
	return m.data
}

// Free implements experimental.LinearMemory.
func (m *memory) Free() { m.data = nil }

// Started is the result of starting a module.
type Started struct {
	// Skipped is the reason why the module was not started; empty if it was.
	Skipped string `json:"skipped,omitempty"`
	// Refuses names the call that fails for lack of a configuration, and says how; empty if
	// none does.
	Refuses string `json:"refuses,omitempty"`
}

// rootContext is the id of the first context that Envoy makes in a module.
const rootContext = 1

// start does what Envoy does with a module before the first request, in the same order, with
// the functions of envoy.go as the host. It runs the start function, then _initialize and
// main, or else _start; it creates the root context, starts the VM, and configures the plugin.
// Failures end up among the report's problems or defects. The error is ctx's.
//
// Envoy gives a module 1 GiB of memory and unlimited time. Here opts limit both.
//
// Reference: startVm in https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/src/wasm.cc,
// onStart and onConfigure in src/context.cc.
func (m *module) start(ctx context.Context, opts StartOptions) error {
	if len(m.report.problems) > 0 {
		return nil
	}
	opts.Memory = cmp.Or(opts.Memory, 24<<20+2*m.size)
	m.report.started = &Started{Skipped: m.unstartable(opts.Memory)}
	if m.report.started.Skipped != "" {
		return nil
	}
	refused := false
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
		return &memory{most: opts.Memory, refused: &refused}
	}))
	s := &starting{module: m, opts: opts, host: newHost()}
	err := s.run(ctx)
	if tooDeep(err) {
		// Envoy's V8 allows deeper recursion.
		m.close()
		if err := m.compile(ctx, machineCode); err != nil {
			return err
		}
		s = &starting{module: m, opts: opts, host: newHost()}
		err = s.run(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if refused && (err != nil || s.refuses != "") {
		m.report.started.Skipped = tooMuchMemory(opts.Memory)
		return nil //nolint:nilerr // the module did not get the memory that it would have elsewhere
	}
	m.report.calls = s.host.calls
	for _, since := range s.host.calls {
		if versionLess(m.report.EnvoyMin, since) {
			m.report.EnvoyMin = since
		}
	}
	var trapped *trap
	if errors.As(err, &trapped) {
		m.report.trapped = trapped.function
	}
	var defect *startDefect
	switch {
	case err == nil:
		m.report.started.Refuses = s.refuses
	case errors.As(err, &defect):
		m.report.defects = append(m.report.defects, err.Error())
	default:
		m.report.problem("%v", err)
		m.report.EnvoyMin = ""
	}
	return nil
}

// unstartable returns the reason why a module cannot be started here, although Envoy may start
// it.
func (m *module) unstartable(memory uint64) string {
	switch {
	case m.shape.code > maxCode:
		return fmt.Sprintf("it has more than %d MiB of code, which is not read here", maxCode>>20)
	case m.shape.pages<<16 > memory:
		return tooMuchMemory(memory)
	case m.outlined:
		return "it uses legacy exception handling, which cannot be run here"
	case m.shape.importsOther:
		return "it imports a memory or a table, which cannot be given to it here"
	case m.shape.shared:
		return "its memory is shared by threads, which cannot be run here"
	}
	return ""
}

func tooMuchMemory(given uint64) string {
	return fmt.Sprintf("it wants more memory than the %d MiB that it is given here", given>>20)
}

// startDefect says that Envoy loads the module, and that the module then fails every request.
type startDefect struct{ error }

func (d *startDefect) Unwrap() error { return d.error }

// starting is a module while it is being started.
type starting struct {
	module  *module
	opts    StartOptions
	host    *host
	guest   api.Module
	refuses string
}

func (s *starting) run(ctx context.Context) error {
	if err := s.host.offer(ctx, s.module.runtime, s.module.compiled); err != nil {
		return fmt.Errorf("offer it Envoy's functions: %w", err)
	}
	s.host.phase = "the start function"
	s.host.allowed = inStartFunction
	err := s.bounded(ctx, "its instantiation", func(ctx context.Context) (err error) {
		s.guest, err = s.module.runtime.InstantiateModule(ctx, s.module.compiled, wazero.NewModuleConfig().WithStartFunctions())
		return err
	})
	if err != nil {
		return err
	}
	if err := s.initialize(ctx); err != nil {
		return err
	}
	s.host.allowed = nil
	s.host.configuration = s.configuration()
	// Envoy goes on after a trap here, and shows it as a failed call only when the first
	// request comes. So the calls below go on as well.
	_, trapped := s.call(ctx, "proxy_on_context_create", rootContext, 0)
	s.host.configuration = nil
	if tooDeep(trapped) || ctx.Err() != nil {
		return trapped
	}
	accepted, err := s.call(ctx, "proxy_on_vm_start", rootContext, 0)
	switch {
	case trapped != nil && (err != nil || !accepted):
		return trapped
	case trapped != nil:
		return s.defect(trapped)
	case err != nil:
		return err
	case !accepted && s.opts.Configuration == nil:
		s.refuses = "proxy_on_vm_start refuses an empty configuration of the VM" + s.host.logged()
		return nil
	case !accepted:
		return errors.New("proxy_on_vm_start returns false" + s.host.logged())
	case s.host.failed != nil:
		return s.defect(s.host.failed)
	}
	return s.configure(ctx)
}

// initialize runs the module's initialization functions.
func (s *starting) initialize(ctx context.Context) error {
	s.host.allowed = atStart
	names := []string{"_start"}
	if s.module.report.Exported("_initialize") {
		names = []string{"_initialize", "main"}
		if !s.module.report.Exported("main") {
			names[1] = "__main_void"
		}
	}
	for _, name := range names {
		var args []uint64
		if name == "main" {
			args = []uint64{0, 0} // argc and argv
		}
		if _, err := s.call(ctx, name, args...); err != nil {
			return err
		}
	}
	return nil
}

// configure hands the plugin its configuration.
func (s *starting) configure(ctx context.Context) error {
	s.host.configuration = s.configuration()
	length := uint64(len(*s.host.configuration))
	accepted, err := s.call(ctx, "proxy_on_configure", rootContext, length)
	switch {
	case tooDeep(err) || ctx.Err() != nil:
		return err
	case err != nil && s.opts.Configuration == nil:
		s.refuses = "with an empty configuration " + err.Error()
	case err != nil:
		return err
	case !accepted && length > 0:
		return errors.New("proxy_on_configure refuses the configuration" + s.host.logged())
	case !accepted:
		s.refuses = "proxy_on_configure refuses an empty configuration" + s.host.logged()
	case s.host.failed != nil:
		return s.defect(s.host.failed)
	}
	return nil
}

func (s *starting) configuration() *string {
	if s.opts.Configuration != nil {
		return s.opts.Configuration
	}
	return new(string)
}

func (s *starting) defect(err error) error {
	return &startDefect{fmt.Errorf("%w; Envoy loads the module nonetheless, and fails every request", err)}
}

// call calls a function if the module exports it. accepted is false only if the function
// returned 0.
func (s *starting) call(ctx context.Context, name string, args ...uint64) (accepted bool, err error) {
	f := s.guest.ExportedFunction(name)
	if f == nil {
		return true, nil
	}
	s.host.phase, s.host.log = name, nil
	err = s.bounded(ctx, name, func(ctx context.Context) error {
		results, err := f.Call(ctx, args...)
		accepted = len(results) == 0 || results[0] != 0
		return err
	})
	return accepted, err
}

// bounded runs code of the module within the time limit, and explains why it failed.
func (s *starting) bounded(ctx context.Context, name string, do func(context.Context) error) error {
	timeout := cmp.Or(s.opts.CallTimeout, 30*time.Second)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := do(ctx)
	var ended *sys.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended):
		return fmt.Errorf("%s did not return within %s%s", name, timeout, s.host.logged())
	}
	return s.host.explain(name, err)
}

// explain says why a call of the module failed.
func (h *host) explain(name string, err error) error {
	var forbidden *forbiddenCall
	if errors.As(err, &forbidden) {
		return forbidden
	}
	// The first line is the reason. The stack follows, and has no names if the module has
	// none.
	reason, _, _ := strings.Cut(err.Error(), "\n")
	if _, after, found := strings.Cut(reason, "wasm error: "); found {
		reason = after
	}
	return &trap{name, strings.TrimSuffix(reason, " (recovered by wazero)"), h.logged()}
}

// trap is a call of the module that trapped.
type trap struct{ function, reason, logged string }

func (t *trap) Error() string { return t.function + " traps: " + t.reason + t.logged }

// tooDeep reports whether the interpreter ran out of room for nested calls.
func tooDeep(err error) bool {
	var t *trap
	return errors.As(err, &t) && t.reason == "stack overflow"
}

// forbiddenCall is a host call that Envoy answers with a trap.
type forbiddenCall struct{ caller, function string }

func (c *forbiddenCall) Error() string {
	reason := "which Envoy forbids there"
	switch {
	case c.function == "wasi_snapshot_preview1.proc_exit" || c.function == "wasi_unstable.proc_exit":
		reason += ": a filter does not end; build it as a WASI reactor, which exports _initialize"
	case c.caller == "the start function":
		reason = "and Envoy ends when it does"
	}
	return fmt.Sprintf("%s calls %s, %s", c.caller, c.function, reason)
}
