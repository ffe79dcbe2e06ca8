package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const ctlUsage = `usage: cluster ctl --dir DIR VERB PART

Stops and starts a part of a running cluster. VERB is one of
  stop     ends the part with SIGTERM; it stays down
  kill     ends the part with SIGKILL; it stays down
  start    starts the part and waits until it is healthy
  restart  stop and start
PART is a name such as kube-apiserver, or "kwok" for all fake nodes.`

// ctl asks the supervisor of a running cluster to do something to a part.
func ctl(args []string) error {
	flags := flag.NewFlagSet("ctl", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), ctlUsage)
		flags.PrintDefaults()
	}
	dir := flags.String("dir", "", "`directory` of the cluster")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || flags.NArg() != 2 {
		flags.Usage()
		os.Exit(2)
	}
	verb, name := flags.Arg(0), flags.Arg(1)
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialSocket(ctx, *dir)
		},
	}}
	// The host is not used; the transport always dials the socket.
	resp, err := client.Post("http://supervisor/"+url.PathEscape(verb)+"/"+url.PathEscape(name), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	message, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(message)))
	}
	return nil
}

// serveCtl answers the requests of ctl until the context is done.
func (s *supervisor) serveCtl(ctx context.Context, dir string) error {
	listener, err := listenSocket(dir)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{verb}/{part}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.control(r.Context(), r.PathValue("verb"), r.PathValue("part")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		if err := server.Serve(listener); ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "cluster: control socket:", err)
		}
	}()
	context.AfterFunc(ctx, func() {
		if err := listener.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "cluster: control socket:", err)
		}
	})
	return nil
}

func (s *supervisor) control(ctx context.Context, verb, name string) error {
	processes, err := s.matching(name)
	if err != nil {
		return err
	}
	switch verb {
	case "stop", "kill", "restart":
		for _, proc := range processes {
			if err := s.stop(proc, verb == "kill"); err != nil {
				return err
			}
		}
	case "start":
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
	if verb == "start" || verb == "restart" {
		for _, proc := range processes {
			if err := s.resume(ctx, proc); err != nil {
				return err
			}
		}
	}
	return nil
}

// The socket is reached through a descriptor of its directory: the path of a
// unix socket may have only 107 bytes, which a test's directory may exceed.
const socketName = "ctl.sock"

func listenSocket(dir string) (net.Listener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return net.Listen("unix", viaDescriptor(d, socketName))
}

func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", viaDescriptor(d, socketName))
}

func viaDescriptor(dir *os.File, name string) string {
	return filepath.Join(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), name)
}
