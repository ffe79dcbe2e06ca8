package oci

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// layerTime stands in for every time stamp in a layer, since a digest must
// not depend on when a directory was filled.
var layerTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// writeLayer stores the directory root as a layer blob.
func writeLayer(layoutDir, root string) (descriptor, error) {
	tmp, err := os.CreateTemp(layoutDir, ".tmp-layer-")
	if err != nil {
		return descriptor{}, err
	}
	hash := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(tmp, hash), 1<<20)
	if err := writeTar(out, root); err != nil {
		return descriptor{}, discard(tmp, err)
	}
	if err := out.Flush(); err != nil {
		return descriptor{}, discard(tmp, err)
	}
	info, err := tmp.Stat()
	if err != nil {
		return descriptor{}, discard(tmp, err)
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	if err := commit(tmp, filepath.Join(layoutDir, "blobs", "sha256", digest)); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: mediaTypeLayer, Digest: "sha256:" + digest, Size: info.Size()}, nil
}

// fileID tells hard links to one file from equal files.
type fileID struct{ dev, ino uint64 }

// writeTar writes everything below root as a tar that depends on nothing but
// the files' names, contents, types, modes, owners and links.
func writeTar(w io.Writer, root string) error {
	tw := tar.NewWriter(w)
	seen := map[fileID]string{} // the first name of each file with several
	// WalkDir goes through every directory in lexical order.
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name == "." {
			if !entry.IsDir() {
				return fmt.Errorf("%s: not a directory", root)
			}
			return nil // the runtime makes the root itself
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tarHeader(path, name, info)
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		if header.Typeflag == tar.TypeReg && stat.Nlink > 1 {
			id := fileID{uint64(stat.Dev), stat.Ino}
			if first, ok := seen[id]; ok {
				header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
			} else {
				seen[id] = name
			}
		}
		if err := tw.WriteHeader(header); err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			return nil
		}
		return copyFile(tw, path)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func tarHeader(path, name string, info fs.FileInfo) (*tar.Header, error) {
	var target string
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(path); err != nil {
			return nil, err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	header.Name = name
	if info.IsDir() {
		header.Name += "/"
	}
	header.ModTime, header.AccessTime, header.ChangeTime = layerTime, time.Time{}, time.Time{}
	// Names are those of the building machine; inside the image the numbers
	// count.
	header.Uname, header.Gname = "", ""
	return header, nil
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
