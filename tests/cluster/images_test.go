package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"cluster/oci"
)

// layout makes an OCI layout with one image.
func layout(t *testing.T, image string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "name"), []byte(image), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := oci.AddImage(dir, image, []string{root}, oci.ImageConfig{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRegistryOfSeveralLayouts(t *testing.T) {
	server := httptest.NewServer(newLayouts([]string{layout(t, pauseImage), layout(t, "nginx:1.21")}))
	defer server.Close()
	for path, want := range map[string]int{
		"/v2/":                                   http.StatusOK,
		"/v2/pause/manifests/1?ns=registry.test": http.StatusOK,
		"/v2/library/nginx/manifests/1.21?ns=docker.io":   http.StatusOK,
		"/v2/library/nginx/manifests/1.22?ns=docker.io":   http.StatusNotFound,
		"/v2/library/pause/manifests/1?ns=docker.io":      http.StatusNotFound,
		"/v2/library/nothing/manifests/latest?ns=quay.io": http.StatusNotFound,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequest(method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s %s: %s", method, path, resp.Status)
			}
			if method == http.MethodGet && len(body) == 0 {
				t.Errorf("%s: empty answer", path)
			}
		}
	}
}
