// Measures kubectl-stateful against what a user would run instead. tests/bench
// builds and runs it from the root of the repository; usage.txt describes the
// procedure.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

//go:embed usage.txt
var usage string

type options struct {
	runs, rolls, moves, names int
	orphans, sets             []int
	tier                      string
	check                     bool
}

// A wrong command line, as opposed to a measurement that failed.
type usageError struct{ error }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("tests/bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	turns := func(value *int, name string, standard int) {
		*value = standard
		flags.Func(name, "", func(text string) error { return parseCount(text, value) })
	}
	turns(&o.runs, "runs", 11)
	turns(&o.rolls, "rolls", 7)
	turns(&o.moves, "moves", 0)
	turns(&o.names, "names", 0)
	flags.Func("orphans", "", func(text string) error {
		var count int
		err := parseCount(text, &count)
		o.orphans = append(o.orphans, count)
		return err
	})
	flags.Func("sets", "", func(text string) error {
		var count int
		err := parseCount(text, &count)
		o.sets = append(o.sets, count)
		return err
	})
	flags.StringVar(&o.tier, "tier", "control-plane", "")
	flags.BoolVar(&o.check, "check", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("unknown argument %s", flags.Arg(0))}
	}
	if o.tier != "control-plane" && o.tier != "node" {
		return o, usageError{fmt.Errorf("unknown tier %s: control-plane or node", o.tier)}
	}
	if (o.moves > 0 || o.names > 0) && os.Geteuid() != 0 {
		return o, errors.New("--moves and --names need root, for a real node")
	}
	return o, nil
}

func parseCount(text string, value *int) error {
	count, err := strconv.ParseUint(text, 10, 31)
	*value = int(count)
	if err != nil {
		return errors.New("not a whole number")
	}
	return nil
}

func main() {
	os.Exit(exitCode(run()))
}

func run() error {
	o, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() { cancel(interrupted((<-signals).(syscall.Signal))) }()

	s, err := measure(ctx, o)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	missed, err := report(os.Stdout, s, o)
	if err == nil && missed && o.check {
		err = errMissed
	}
	return err
}

var errMissed = errors.New("a target was missed")

type interrupted syscall.Signal

func (i interrupted) Error() string { return syscall.Signal(i).String() }

func exitCode(err error) int {
	var wrong usageError
	var signalled interrupted
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "tests/bench: %v\nSee tests/bench --help.\n", err)
		return 2
	case errors.As(err, &signalled):
		if syscall.Signal(signalled) == syscall.SIGINT {
			return 130
		}
		return 143
	}
	fmt.Fprintln(os.Stderr, "tests/bench:", err)
	return 1
}
