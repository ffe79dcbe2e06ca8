package main

import (
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"cluster/oci"
)

const (
	clusterImage = "registry.test/cluster:1" // this binary; CoreDNS runs from it
	pauseImage   = "registry.test/pause:1"

	// builtinImages is the layout with these two, beside the binaries.
	builtinImages = "images"
)

// images writes the images that the node tier itself needs into an OCI layout.
func images(args []string) error {
	flags := flag.NewFlagSet("images", flag.ExitOnError)
	out := flags.String("out", "", "OCI layout `directory`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("images: --out is needed")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pause, err := sibling("pause")
	if err != nil {
		return err
	}
	if err := addProgramImage(*out, clusterImage, self); err != nil {
		return err
	}
	return addProgramImage(*out, pauseImage, pause)
}

// addProgramImage adds an image with nothing in it but one static program.
func addProgramImage(layout, image, program string) (err error) {
	root, err := os.MkdirTemp("", "cluster-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	name := filepath.Base(program)
	if err := copyProgram(program, filepath.Join(root, name)); err != nil {
		return err
	}
	return oci.AddImage(layout, image, []string{root}, oci.ImageConfig{Entrypoint: []string{"/" + name}})
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// layouts serves several OCI layouts as one registry.
type layouts []http.Handler

func newLayouts(dirs []string) layouts {
	var l layouts
	for _, dir := range dirs {
		l = append(l, oci.Handler(dir))
	}
	return l
}

// ServeHTTP lets the first layout answer that has what is asked for, or else
// the last.
func (l layouts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	probe := r.Clone(r.Context())
	probe.Method = http.MethodHead
	for i, layout := range l {
		if i < len(l)-1 {
			answer := statusWriter{header: http.Header{}}
			layout.ServeHTTP(&answer, probe)
			if answer.status == http.StatusNotFound {
				continue
			}
		}
		layout.ServeHTTP(w, r)
		return
	}
}

// statusWriter keeps nothing of an answer but its status.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }
