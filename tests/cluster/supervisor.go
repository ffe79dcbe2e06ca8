package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// healthInterval is how often a starting part is asked whether it is up.
	healthInterval = 20 * time.Millisecond
	// startTimeout is generous because continuous integration machines may
	// have one slow core.
	startTimeout = 2 * time.Minute
	// stopTimeout is what a part gets between SIGTERM and SIGKILL. kube-apiserver
	// and etcd always use it up: they wait for their watches to end.
	stopTimeout = 3 * time.Second
	// restartDelay keeps a part that cannot start from spinning.
	restartDelay = time.Second
	// logTail is how much of a dead part's log is shown.
	logTail = 4096
)

// part is one program of the cluster.
type part struct {
	name string
	// program is the file to run; empty means this very binary.
	program string
	args    []string
	// healthy returns nil once the part serves. May be nil: healthy when it runs.
	healthy func(ctx context.Context) error
}

// process is a part that was started at least once. The supervisor's mutex
// guards its fields.
type process struct {
	part part
	// wanted says whether the part is to be started again when it exits.
	wanted bool
	// pid is 0 while the part does not run.
	pid int
	// exited is closed when the process that runs now has ended.
	exited chan struct{}
	status syscall.WaitStatus
}

// supervisor starts the parts, starts them again when they die by themselves,
// and stops and starts them on request.
//
// It reaps every child, also those it inherits as first process of a PID
// namespace, so nothing else in this program may wait for a process.
type supervisor struct {
	logDir string

	mu        sync.Mutex
	processes map[string]*process
	order     []string
	started   bool // from now on a part that dies is started again

	launches chan launch
	failed   chan error // a part died while the cluster was starting
}

type launch struct {
	path, name string
	args       []string
	log        *os.File
	result     chan launchResult
}

type launchResult struct {
	pid int
	err error
}

func newSupervisor(logDir string) *supervisor {
	s := &supervisor{
		logDir:    logDir,
		processes: map[string]*process{},
		launches:  make(chan launch),
		failed:    make(chan error, 1),
	}
	go s.launcher()
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go s.reap(children)
	return s
}

// launcher starts processes. It has an operating system thread to itself for
// ever, because the kernel sends the parent death signal when the thread that
// forked ends, not the process.
func (s *supervisor) launcher() {
	runtime.LockOSThread()
	for l := range s.launches {
		p, err := os.StartProcess(l.path, append([]string{l.name}, l.args...), &os.ProcAttr{
			Files: []*os.File{nil, l.log, l.log},
			Sys: &syscall.SysProcAttr{
				// Whatever becomes of the supervisor, no part outlives it.
				Pdeathsig: syscall.SIGKILL,
				// A Ctrl-C in the terminal is for the supervisor alone.
				Setpgid: true,
			},
		})
		if err != nil {
			l.result <- launchResult{err: err}
			continue
		}
		pid := p.Pid
		err = p.Release() // reap waits for it
		l.result <- launchResult{pid, err}
	}
}

// start runs a part for the first time.
func (s *supervisor) start(p part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	proc := &process{part: p, wanted: true}
	s.processes[p.name] = proc
	s.order = append(s.order, p.name)
	return s.run(proc)
}

// run starts a part's process. The caller holds the mutex, so that reap cannot
// see the end of a process it does not know yet.
func (s *supervisor) run(proc *process) error {
	path := proc.part.program
	var err error
	if path == "" {
		path, err = os.Executable()
	} else {
		path, err = exec.LookPath(path)
	}
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.logFile(proc.part.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	result := make(chan launchResult)
	s.launches <- launch{path, proc.part.name, proc.part.args, log, result}
	r := <-result
	if r.err != nil {
		return fmt.Errorf("start %s: %w", proc.part.name, r.err)
	}
	proc.pid = r.pid
	proc.exited = make(chan struct{})
	return nil
}

// reap waits for every child that ends.
func (s *supervisor) reap(children <-chan os.Signal) {
	for range children {
		for s.reapOne() {
		}
	}
}

func (s *supervisor) reapOne() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err != nil || pid <= 0 {
		return false // no child left, or none that has ended
	}
	for _, proc := range s.processes {
		if proc.pid != pid {
			continue
		}
		proc.pid = 0
		proc.status = status
		close(proc.exited)
		if proc.wanted {
			s.died(proc)
		}
	}
	return true
}

// died handles a part that ended by itself. The caller holds the mutex.
func (s *supervisor) died(proc *process) {
	err := fmt.Errorf("%s ended: %s\n%s", proc.part.name, describe(proc.status), s.tail(proc.part.name))
	if !s.started {
		select {
		case s.failed <- err:
		default: // one is enough to give up
		}
		return
	}
	fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
	time.AfterFunc(restartDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !proc.wanted || proc.pid != 0 {
			return
		}
		if err := s.run(proc); err != nil {
			fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		}
	})
}

// ready waits until a part is healthy.
func (s *supervisor) ready(ctx context.Context, name string) error {
	s.mu.Lock()
	proc, ok := s.processes[name]
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("no part %q", name)
	}
	if proc.part.healthy == nil {
		return nil
	}
	if err := s.until(ctx, proc.part.healthy); err != nil {
		return fmt.Errorf("%s does not become healthy: %w\n%s", name, err, s.tail(name))
	}
	return nil
}

// until calls check until it returns nil. It gives up when the time is over,
// the context is done, or a part dies during the start of the cluster.
func (s *supervisor) until(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case failure := <-s.failed:
			return failure
		case <-ticker.C:
		}
	}
}

// running marks the end of the start: dead parts are started again from now on.
func (s *supervisor) running() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
}

// matching gives the parts that a name means: one, or a family ("kwok" means
// kwok-0, kwok-1 and so on).
func (s *supervisor) matching(name string) ([]*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*process
	for _, known := range s.order {
		if known == name || isFakeNode(known) && name == kwokPart {
			found = append(found, s.processes[known])
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no part %q; there are: %s", name, strings.Join(s.order, " "))
	}
	return found, nil
}

// stop ends a part, with a signal first if it is not to be killed outright,
// and returns when it is gone. It stays stopped.
func (s *supervisor) stop(proc *process, kill bool) error {
	first := syscall.SIGTERM
	if kill {
		first = syscall.SIGKILL
	}
	exited, err := s.signal(proc, first)
	if err != nil || exited == nil {
		return err
	}
	select {
	case <-exited:
		return nil
	case <-time.After(stopTimeout):
	}
	if _, err := s.signal(proc, syscall.SIGKILL); err != nil {
		return err
	}
	<-exited
	return nil
}

// signal tells a part to end for good. The channel is nil if it does not run.
func (s *supervisor) signal(proc *process, sig syscall.Signal) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	proc.wanted = false
	if proc.pid == 0 {
		return nil, nil
	}
	return proc.exited, syscall.Kill(proc.pid, sig)
}

// resume starts a stopped part and returns when it is healthy.
func (s *supervisor) resume(ctx context.Context, proc *process) error {
	s.mu.Lock()
	proc.wanted = true
	var err error
	if proc.pid == 0 {
		err = s.run(proc)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.ready(ctx, proc.part.name)
}

// killAll ends every part at once and waits until they are gone. Nothing is
// worth an orderly end: the data of a test cluster is thrown away.
func (s *supervisor) killAll() error {
	s.mu.Lock()
	var all []*process
	for _, proc := range s.processes {
		proc.wanted = false
		all = append(all, proc)
	}
	s.mu.Unlock()
	var errs []error
	var waits []<-chan struct{}
	for _, proc := range all {
		exited, err := s.signal(proc, syscall.SIGKILL)
		errs = append(errs, err)
		if exited != nil && err == nil {
			waits = append(waits, exited)
		}
	}
	for _, exited := range waits {
		<-exited
	}
	return errors.Join(errs...)
}

func (s *supervisor) logFile(name string) string {
	return filepath.Join(s.logDir, name+".log")
}

// tail is the end of a part's log, for error messages.
func (s *supervisor) tail(name string) string {
	data, err := os.ReadFile(s.logFile(name))
	if err != nil {
		return err.Error()
	}
	if len(data) > logTail {
		data = data[len(data)-logTail:]
	}
	return string(data)
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
