package oci

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var (
	manifestPath  = regexp.MustCompile(`^/v2/([a-z0-9][a-z0-9._/-]*)/manifests/([A-Za-z0-9_][A-Za-z0-9._:-]*)$`)
	blobPath      = regexp.MustCompile(`^/v2/[a-z0-9][a-z0-9._/-]*/blobs/([^/]+)$`)
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// Handler serves the OCI layout at layoutDir as a read-only registry.
//
// containerd asks a mirror for "library/nginx" and says which registry it
// stands in for in the query: "?ns=docker.io". A request without one is taken
// to mean docker.io. Images added later are seen at once.
func Handler(layoutDir string) http.Handler {
	return registry{layoutDir}
}

type registry struct{ layoutDir string }

func (reg registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry is read-only")
		return
	}
	path := req.URL.Path
	if path == "/v2" || path == "/v2/" {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("{}"))
		return
	}
	if m := manifestPath.FindStringSubmatch(path); m != nil {
		ns := req.URL.Query().Get("ns")
		if ns == "" {
			ns = defaultRegistry
		}
		reg.serveManifest(w, req, ns+"/"+m[1], m[2])
		return
	}
	if m := blobPath.FindStringSubmatch(path); m != nil {
		reg.serveBlob(w, req, descriptor{MediaType: "application/octet-stream", Digest: m[1]}, "BLOB_UNKNOWN")
		return
	}
	fail(w, http.StatusNotFound, "NAME_UNKNOWN", "no such path: "+path)
}

// serveManifest answers for a tag or a digest of a repository.
func (reg registry) serveManifest(w http.ResponseWriter, req *http.Request, repository, reference string) {
	idx, err := readIndex(reg.layoutDir)
	if err != nil {
		fail(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	for _, desc := range idx.Manifests {
		ref := desc.Annotations[annotationRefName]
		byTag := ref == repository+":"+reference
		byDigest := desc.Digest == reference && strings.HasPrefix(ref, repository+":")
		if byTag || byDigest {
			reg.serveBlob(w, req, desc, "MANIFEST_UNKNOWN")
			return
		}
	}
	fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no manifest "+reference+" in "+repository)
}

// serveBlob sends a blob; unknown is the error code for one that is not there.
func (reg registry) serveBlob(w http.ResponseWriter, req *http.Request, desc descriptor, unknown string) {
	// The pattern also keeps paths out of the file name.
	if !digestPattern.MatchString(desc.Digest) {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "not a sha256 digest: "+desc.Digest)
		return
	}
	f, err := os.Open(filepath.Join(reg.layoutDir, "blobs", "sha256", strings.TrimPrefix(desc.Digest, "sha256:")))
	if errors.Is(err, fs.ErrNotExist) {
		fail(w, http.StatusNotFound, unknown, "no blob "+desc.Digest)
		return
	}
	if err != nil {
		fail(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", desc.MediaType)
	w.Header().Set("Docker-Content-Digest", desc.Digest)
	w.Header().Set("Etag", `"`+desc.Digest+`"`)
	// ServeContent knows HEAD and the ranges of a resumed pull. A blob never
	// changes, so its time says nothing.
	http.ServeContent(w, req, "", time.Time{}, f)
}

// fail answers with the error body of the registry protocol.
func fail(w http.ResponseWriter, status int, code, message string) {
	type protocolError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]protocolError{"errors": {{code, message}}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
