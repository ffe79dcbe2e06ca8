package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cluster/oci"
)

func TestRun(t *testing.T) {
	layers, layout := t.TempDir(), filepath.Join(t.TempDir(), "layout")
	for _, name := range []string{"base", "app"} {
		if err := os.MkdirAll(filepath.Join(layers, name, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(content string) string {
		list := filepath.Join(t.TempDir(), "images.json")
		if err := os.WriteFile(list, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return list
	}
	list := write(`[{"names": ["app:1", "app:2"], "layers": ["base", "app"], "config": {"Cmd": ["app"]}}]`)
	if err := run(layout, layers, list); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"1", "2"} {
		rec := httptest.NewRecorder()
		oci.Handler(layout).ServeHTTP(rec, httptest.NewRequest("GET", "/v2/library/app/manifests/"+tag, nil))
		if rec.Code != 200 || strings.Count(rec.Body.String(), "layer.v1.tar") != 2 {
			t.Errorf("app:%s: %d %s", tag, rec.Code, rec.Body)
		}
	}

	for _, bad := range []string{
		`[{"names": [], "layers": ["base"]}]`,
		`[{"names": ["x"], "layers": ["missing"]}]`,
		`[{"names": ["x"], "layers": ["base"], "cmd": ["misplaced"]}]`,
		`{`,
	} {
		if err := run(layout, layers, write(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
