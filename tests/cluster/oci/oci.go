// Package oci writes container images into an OCI image layout directory and
// serves such a directory as a read-only registry.
//
// It exists so that the tests can run a real containerd against images built
// on the spot, without Docker and without a registry to talk to. It uses the
// standard library alone.
package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

const (
	mediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
	mediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaTypeConfig   = "application/vnd.oci.image.config.v1+json"

	// Layers are not compressed: they travel over loopback only, and gzip
	// costs more time when packing and unpacking than it saves in copying.
	mediaTypeLayer = "application/vnd.oci.image.layer.v1.tar"

	// annotationRefName carries the image's full name in index.json.
	annotationRefName = "org.opencontainers.image.ref.name"

	defaultRegistry = "docker.io"
)

// ImageConfig is the part of an image's configuration that a container
// runtime acts upon.
type ImageConfig struct {
	Entrypoint, Cmd, Env []string
	WorkingDir, User     string
	ExposedPorts         []string // "80/tcp"
	// StopSignal is what the runtime sends to stop a container ("SIGINT");
	// empty means SIGTERM.
	StopSignal string
}

// descriptor points to a blob of the layout.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type configFile struct {
	Architecture string          `json:"architecture"`
	OS           string          `json:"os"`
	Config       containerConfig `json:"config"`
	RootFS       rootFS          `json:"rootfs"`
}

type containerConfig struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// AddImage writes the image name into the OCI layout at layoutDir, which is
// made if it does not exist; an image of the same name is replaced.
//
// Each entry of layers is a directory that becomes one layer, the lowest
// first. A directory's content decides the layer's digest (times do not
// count), so images made of the same directories share their blobs. Extended
// attributes are not kept.
//
// A short name is completed as container runtimes do it: "nginx" means
// "docker.io/library/nginx:latest".
//
// Several processes may add images to one layout at the same time.
func AddImage(layoutDir, name string, layers []string, cfg ImageConfig) error {
	ref, err := normalize(name)
	if err != nil {
		return err
	}
	if err := initLayout(layoutDir); err != nil {
		return err
	}

	m := manifest{SchemaVersion: 2, MediaType: mediaTypeManifest, Layers: []descriptor{}}
	root := rootFS{Type: "layers", DiffIDs: []string{}}
	for _, dir := range layers {
		desc, err := writeLayer(layoutDir, dir)
		if err != nil {
			return fmt.Errorf("image %s: layer %s: %w", name, dir, err)
		}
		m.Layers = append(m.Layers, desc)
		// Uncompressed, so the digest of the blob is also that of the tar.
		root.DiffIDs = append(root.DiffIDs, desc.Digest)
	}

	var ports map[string]struct{}
	if len(cfg.ExposedPorts) > 0 {
		ports = map[string]struct{}{}
		for _, p := range cfg.ExposedPorts {
			ports[p] = struct{}{}
		}
	}
	m.Config, err = writeJSONBlob(layoutDir, mediaTypeConfig, configFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Config: containerConfig{
			User:         cfg.User,
			ExposedPorts: ports,
			Env:          cfg.Env,
			Entrypoint:   cfg.Entrypoint,
			Cmd:          cfg.Cmd,
			WorkingDir:   cfg.WorkingDir,
			StopSignal:   cfg.StopSignal,
		},
		RootFS: root,
	})
	if err != nil {
		return fmt.Errorf("image %s: config: %w", name, err)
	}
	desc, err := writeJSONBlob(layoutDir, mediaTypeManifest, m)
	if err != nil {
		return fmt.Errorf("image %s: manifest: %w", name, err)
	}
	return updateIndex(layoutDir, func(idx *index) error {
		idx.set(ref, desc)
		return nil
	})
}

// Alias gives the image existing a second name.
func Alias(layoutDir, existing, name string) error {
	from, err := normalize(existing)
	if err != nil {
		return err
	}
	to, err := normalize(name)
	if err != nil {
		return err
	}
	return updateIndex(layoutDir, func(idx *index) error {
		desc, ok := idx.get(from)
		if !ok {
			return fmt.Errorf("alias %s: no image %s in %s", name, existing, layoutDir)
		}
		idx.set(to, desc)
		return nil
	})
}

// get finds an image by its full name.
func (idx *index) get(ref string) (descriptor, bool) {
	for _, d := range idx.Manifests {
		if d.Annotations[annotationRefName] == ref {
			return d, true
		}
	}
	return descriptor{}, false
}

// set adds or replaces an image; the entries stay sorted by name so that the
// order of the calls does not show in the file.
func (idx *index) set(ref string, desc descriptor) {
	desc.Annotations = map[string]string{annotationRefName: ref}
	others := idx.Manifests[:0]
	for _, d := range idx.Manifests {
		if d.Annotations[annotationRefName] != ref {
			others = append(others, d)
		}
	}
	idx.Manifests = append(others, desc)
	sort.Slice(idx.Manifests, func(i, j int) bool {
		return idx.Manifests[i].Annotations[annotationRefName] < idx.Manifests[j].Annotations[annotationRefName]
	})
}

// normalize completes an image name to "registry/path:tag".
func normalize(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, "@ \t\n") {
		return "", fmt.Errorf("image name %q: want [registry/]path[:tag]", name)
	}
	registry, path, found := strings.Cut(name, "/")
	if !found || !(strings.ContainsAny(registry, ".:") || registry == "localhost") {
		registry, path = defaultRegistry, name
	}
	path, tag, found := strings.Cut(path, ":")
	if !found {
		tag = "latest"
	}
	if path == "" || tag == "" || strings.ContainsAny(tag, ":/") {
		return "", fmt.Errorf("image name %q: want [registry/]path[:tag]", name)
	}
	if registry == defaultRegistry && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	return registry + "/" + path + ":" + tag, nil
}

// initLayout makes the directories and the marker file of an OCI layout.
func initLayout(layoutDir string) error {
	if err := os.MkdirAll(filepath.Join(layoutDir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	return writeFile(layoutDir, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

func readIndex(layoutDir string) (index, error) {
	idx := index{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: []descriptor{}}
	raw, err := os.ReadFile(filepath.Join(layoutDir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return idx, nil
	}
	if err != nil {
		return idx, err
	}
	if err := json.Unmarshal(raw, &idx); err != nil {
		return idx, fmt.Errorf("%s: %w", filepath.Join(layoutDir, "index.json"), err)
	}
	return idx, nil
}

// updateIndex changes index.json. A lock keeps writers apart; readers need
// none since the file is replaced as a whole.
func updateIndex(layoutDir string, change func(*index) error) error {
	lock, err := os.OpenFile(filepath.Join(layoutDir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // which also releases the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	idx, err := readIndex(layoutDir)
	if err != nil {
		return err
	}
	if err := change(&idx); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(idx, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(layoutDir, "index.json", raw)
}

// writeJSONBlob stores v as a blob.
func writeJSONBlob(layoutDir, mediaType string, v any) (descriptor, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])
	if err := writeFile(layoutDir, filepath.Join("blobs", "sha256", digest), raw); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: mediaType, Digest: "sha256:" + digest, Size: int64(len(raw))}, nil
}

// writeFile puts a file of the layout in place in one step, so that nobody
// ever reads half of it.
func writeFile(layoutDir, name string, content []byte) error {
	tmp, err := os.CreateTemp(layoutDir, ".tmp-")
	if err != nil {
		return err
	}
	if _, err := tmp.Write(content); err != nil {
		return discard(tmp, err)
	}
	return commit(tmp, filepath.Join(layoutDir, name))
}

// commit closes a temporary file and gives it its name.
func commit(tmp *os.File, path string) error {
	if err := tmp.Chmod(0o644); err != nil {
		return discard(tmp, err)
	}
	if err := tmp.Close(); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// discard removes a temporary file after the error err, which it returns.
func discard(tmp *os.File, err error) error {
	return errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
}
