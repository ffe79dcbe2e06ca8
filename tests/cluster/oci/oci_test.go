package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sampleRoot makes a directory with one of everything a layer may hold.
func sampleRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "bin", "su"), []byte("program"), 0o755))
	must(t, os.Chmod(filepath.Join(root, "bin", "su"), 0o755|os.ModeSetuid))
	must(t, os.Link(filepath.Join(root, "bin", "su"), filepath.Join(root, "bin", "zu")))
	must(t, os.Symlink("su", filepath.Join(root, "bin", "doas")))
	must(t, os.Mkdir(filepath.Join(root, "secret"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	if os.Getuid() == 0 {
		must(t, os.Chown(filepath.Join(root, "secret"), 101, 102))
	}
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get asks the registry and returns the answer with its body.
func get(t *testing.T, layout, method, path string) (*http.Response, []byte) {
	t.Helper()
	rec := httptest.NewRecorder()
	Handler(layout).ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, body
}

func pullManifest(t *testing.T, layout, path string) manifest {
	t.Helper()
	res, body := get(t, layout, "GET", path)
	if res.StatusCode != 200 {
		t.Fatalf("%s: %s: %s", path, res.Status, body)
	}
	var m manifest
	must(t, json.Unmarshal(body, &m))
	return m
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"nginx":                    "docker.io/library/nginx:latest",
		"nginx:1.21":               "docker.io/library/nginx:1.21",
		"komljen/zookeeper:3.4.10": "docker.io/komljen/zookeeper:3.4.10",
		"gcr.io/a/b:1.0":           "gcr.io/a/b:1.0",
		"registry.test/tools:1":    "registry.test/tools:1",
		"localhost/x":              "localhost/x:latest",
		"docker.io/nginx":          "docker.io/library/nginx:latest",
		"host:5000/x":              "host:5000/x:latest",
	} {
		got, err := normalize(in)
		if err != nil || got != want {
			t.Errorf("normalize(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "nginx:", "a b", "nginx@sha256:00", ":1", "nginx:1:2"} {
		if got, err := normalize(in); err == nil {
			t.Errorf("normalize(%q) = %q, want an error", in, got)
		}
	}
}

func TestLayerKeepsFiles(t *testing.T) {
	root := sampleRoot(t)
	var buf bytes.Buffer
	must(t, writeTar(&buf, root))
	var names []string
	headers := map[string]*tar.Header{}
	content := map[string]string{}
	for tr := tar.NewReader(&buf); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		names = append(names, h.Name)
		headers[h.Name] = h
		data, err := io.ReadAll(tr)
		must(t, err)
		content[h.Name] = string(data)
		if !h.ModTime.Equal(layerTime) {
			t.Errorf("%s: time %s", h.Name, h.ModTime)
		}
		if h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: owner names %q %q", h.Name, h.Uname, h.Gname)
		}
	}
	want := []string{"bin/", "bin/doas", "bin/su", "bin/zu", "pipe", "secret/"}
	if !reflect.DeepEqual(names, want) {
		t.Fatalf("names %q, want %q", names, want)
	}
	if h := headers["bin/su"]; h.Mode != 0o4755 || content["bin/su"] != "program" {
		t.Errorf("bin/su: mode %o, content %q", h.Mode, content["bin/su"])
	}
	if h := headers["bin/zu"]; h.Typeflag != tar.TypeLink || h.Linkname != "bin/su" {
		t.Errorf("bin/zu: type %c to %q, want a hard link to bin/su", h.Typeflag, h.Linkname)
	}
	if h := headers["bin/doas"]; h.Typeflag != tar.TypeSymlink || h.Linkname != "su" {
		t.Errorf("bin/doas: type %c to %q, want a symbolic link to su", h.Typeflag, h.Linkname)
	}
	if h := headers["pipe"]; h.Typeflag != tar.TypeFifo {
		t.Errorf("pipe: type %c", h.Typeflag)
	}
	h := headers["secret/"]
	if h.Mode != 0o700 {
		t.Errorf("secret: mode %o", h.Mode)
	}
	if os.Getuid() == 0 && (h.Uid != 101 || h.Gid != 102) {
		t.Errorf("secret: owner %d:%d, want 101:102", h.Uid, h.Gid)
	}
}

func TestLayersAreDeterministicAndShared(t *testing.T) {
	layout, a, b := t.TempDir(), sampleRoot(t), sampleRoot(t)
	must(t, os.Chtimes(filepath.Join(b, "bin", "su"), time.Now(), time.Unix(1, 0)))
	must(t, AddImage(layout, "one", []string{a}, ImageConfig{}))
	must(t, AddImage(layout, "two", []string{b}, ImageConfig{Env: []string{"A=B"}}))
	one := pullManifest(t, layout, "/v2/library/one/manifests/latest")
	two := pullManifest(t, layout, "/v2/library/two/manifests/latest")
	if one.Layers[0].Digest != two.Layers[0].Digest {
		t.Error("equal directories gave different layers")
	}
	if one.Config.Digest == two.Config.Digest {
		t.Error("different configurations gave one config blob")
	}
	blobs, err := os.ReadDir(filepath.Join(layout, "blobs", "sha256"))
	must(t, err)
	if len(blobs) != 5 { // a layer, two configs, two manifests
		t.Errorf("%d blobs, want 5", len(blobs))
	}
	left, err := filepath.Glob(filepath.Join(layout, ".tmp-*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestConfig(t *testing.T) {
	layout := t.TempDir()
	must(t, AddImage(layout, "app:1", []string{sampleRoot(t)}, ImageConfig{
		Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}, Env: []string{"A=B"}, WorkingDir: "/w",
		User: "10:20", ExposedPorts: []string{"80/tcp"}, StopSignal: "SIGINT",
	}))
	m := pullManifest(t, layout, "/v2/library/app/manifests/1")
	_, body := get(t, layout, "GET", "/v2/library/app/blobs/"+m.Config.Digest)
	var got configFile
	must(t, json.Unmarshal(body, &got))
	want := containerConfig{
		User: "10:20", ExposedPorts: map[string]struct{}{"80/tcp": {}}, Env: []string{"A=B"},
		Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}, WorkingDir: "/w", StopSignal: "SIGINT",
	}
	if !reflect.DeepEqual(got.Config, want) {
		t.Errorf("config %+v, want %+v", got.Config, want)
	}
	if !reflect.DeepEqual(got.RootFS.DiffIDs, []string{m.Layers[0].Digest}) {
		t.Errorf("diff_ids %q do not name the layer", got.RootFS.DiffIDs)
	}
}

func TestAddImageReplaces(t *testing.T) {
	layout, root := t.TempDir(), sampleRoot(t)
	must(t, AddImage(layout, "app:1", []string{root}, ImageConfig{User: "1"}))
	before := pullManifest(t, layout, "/v2/library/app/manifests/1")
	must(t, AddImage(layout, "app:1", []string{root}, ImageConfig{User: "2"}))
	after := pullManifest(t, layout, "/v2/library/app/manifests/1")
	if before.Config.Digest == after.Config.Digest {
		t.Error("the second image did not replace the first")
	}
	idx, err := readIndex(layout)
	must(t, err)
	if len(idx.Manifests) != 1 {
		t.Errorf("%d entries in the index, want 1", len(idx.Manifests))
	}
}

func TestAlias(t *testing.T) {
	layout := t.TempDir()
	must(t, AddImage(layout, "app:1", []string{sampleRoot(t)}, ImageConfig{}))
	must(t, Alias(layout, "app:1", "registry.test/other:2"))
	a := pullManifest(t, layout, "/v2/library/app/manifests/1")
	b := pullManifest(t, layout, "/v2/other/manifests/2?ns=registry.test")
	if !reflect.DeepEqual(a, b) {
		t.Error("the alias is another image")
	}
	if err := Alias(layout, "missing", "x"); err == nil {
		t.Error("an alias of a missing image gave no error")
	}
}

func TestConcurrentWriters(t *testing.T) {
	layout, root := t.TempDir(), sampleRoot(t)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = AddImage(layout, fmt.Sprintf("app:%d", i), []string{root}, ImageConfig{})
		}()
	}
	wg.Wait()
	for i, err := range errs {
		must(t, err)
		pullManifest(t, layout, fmt.Sprintf("/v2/library/app/manifests/%d", i))
	}
}

func TestAddImageErrors(t *testing.T) {
	layout := t.TempDir()
	if err := AddImage(layout, "app", []string{filepath.Join(layout, "missing")}, ImageConfig{}); err == nil {
		t.Error("a missing layer directory gave no error")
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	if err := AddImage(layout, "app", []string{file}, ImageConfig{}); err == nil {
		t.Error("a file in place of a layer directory gave no error")
	}
	must(t, os.WriteFile(filepath.Join(layout, "index.json"), []byte("{"), 0o644))
	if err := AddImage(layout, "app", []string{sampleRoot(t)}, ImageConfig{}); err == nil {
		t.Error("a broken index gave no error")
	}
}

func TestRegistry(t *testing.T) {
	layout, root := t.TempDir(), sampleRoot(t)
	must(t, AddImage(layout, "nginx:1.21", []string{root}, ImageConfig{}))
	must(t, AddImage(layout, "gcr.io/google-samples/xtrabackup:1.0", []string{root}, ImageConfig{User: "x"}))

	if res, _ := get(t, layout, "GET", "/v2/"); res.StatusCode != 200 {
		t.Errorf("/v2/: %s", res.Status)
	}
	tag := "/v2/library/nginx/manifests/1.21?ns=docker.io"
	res, body := get(t, layout, "GET", tag)
	digest := res.Header.Get("Docker-Content-Digest")
	if res.Header.Get("Content-Type") != mediaTypeManifest || !digestPattern.MatchString(digest) {
		t.Errorf("headers %v", res.Header)
	}
	head, headBody := get(t, layout, "HEAD", tag)
	if head.StatusCode != 200 || len(headBody) != 0 || head.Header.Get("Content-Length") != fmt.Sprint(len(body)) ||
		head.Header.Get("Docker-Content-Digest") != digest {
		t.Errorf("HEAD: %s %v", head.Status, head.Header)
	}
	if _, byDigest := get(t, layout, "GET", "/v2/library/nginx/manifests/"+digest+"?ns=docker.io"); !bytes.Equal(body, byDigest) {
		t.Error("the manifest by digest is not the manifest by tag")
	}
	m := pullManifest(t, layout, tag)
	blob := "/v2/library/nginx/blobs/" + m.Layers[0].Digest + "?ns=docker.io"
	if _, got := get(t, layout, "GET", blob); int64(len(got)) != m.Layers[0].Size {
		t.Errorf("layer of %d bytes, want %d", len(got), m.Layers[0].Size)
	}
	pullManifest(t, layout, "/v2/google-samples/xtrabackup/manifests/1.0?ns=gcr.io")

	rangeReq := httptest.NewRequest("GET", blob, nil)
	rangeReq.Header.Set("Range", "bytes=0-9")
	rec := httptest.NewRecorder()
	Handler(layout).ServeHTTP(rec, rangeReq)
	if rec.Code != http.StatusPartialContent || rec.Body.Len() != 10 {
		t.Errorf("range: %d with %d bytes", rec.Code, rec.Body.Len())
	}

	missing := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/v2/library/nginx/manifests/9.9?ns=docker.io", 404, "MANIFEST_UNKNOWN"},
		{"HEAD", "/v2/library/nginx/manifests/9.9?ns=docker.io", 404, ""},
		{"GET", "/v2/library/nginx/manifests/1.21?ns=quay.io", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/library/other/manifests/" + digest, 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/library/nginx/manifests/" + missing, 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/library/nginx/blobs/" + missing, 404, "BLOB_UNKNOWN"},
		{"GET", "/v2/library/nginx/blobs/..%2F..%2Findex.json", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/library/nginx/blobs/sha256:x", 400, "DIGEST_INVALID"},
		{"GET", "/v1/", 404, "NAME_UNKNOWN"},
		{"PUT", "/v2/library/nginx/manifests/1.21", 405, "UNSUPPORTED"},
	} {
		res, body := get(t, layout, c.method, c.path)
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %s, want %d", c.method, c.path, res.Status, c.status)
		}
		if c.method == "HEAD" {
			continue
		}
		var answer struct {
			Errors []struct{ Code, Message string }
		}
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.Errors) != 1 || answer.Errors[0].Code != c.code {
			t.Errorf("%s %s: body %s, want code %s", c.method, c.path, body, c.code)
		}
	}
}

func TestRegistryReportsBrokenIndex(t *testing.T) {
	layout := t.TempDir()
	must(t, os.WriteFile(filepath.Join(layout, "index.json"), []byte("{"), 0o644))
	if res, body := get(t, layout, "GET", "/v2/library/nginx/manifests/1"); res.StatusCode != 500 {
		t.Errorf("%s: %s", res.Status, body)
	}
}
