// Image writes images into an OCI layout:
//
//	image LAYOUT LAYERS IMAGES.json
//
// IMAGES.json lists the images; LAYERS is the directory that holds a directory
// for every layer they name.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cluster/oci"
)

// defaultPath is what a command without a path is looked for in, unless the
// image says otherwise.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

type image struct {
	Names  []string        `json:"names"`
	Layers []string        `json:"layers"` // the lowest first
	Config oci.ImageConfig `json:"config"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: image LAYOUT LAYERS IMAGES.json")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(layout, layersDir, list string) error {
	raw, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	var images []image
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&images); err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	for _, img := range images {
		if err := add(layout, layersDir, img); err != nil {
			return err
		}
	}
	return nil
}

func add(layout, layersDir string, img image) error {
	if len(img.Names) == 0 {
		return fmt.Errorf("an image of the layers %v has no name", img.Layers)
	}
	hasPath := func(env string) bool { return strings.HasPrefix(env, "PATH=") }
	if !slices.ContainsFunc(img.Config.Env, hasPath) {
		img.Config.Env = append([]string{defaultPath}, img.Config.Env...)
	}
	layers := make([]string, len(img.Layers))
	for i, name := range img.Layers {
		layers[i] = filepath.Join(layersDir, name)
	}
	if err := oci.AddImage(layout, img.Names[0], layers, img.Config); err != nil {
		return err
	}
	for _, name := range img.Names[1:] {
		if err := oci.Alias(layout, img.Names[0], name); err != nil {
			return err
		}
	}
	fmt.Println("image", strings.Join(img.Names, ", "))
	return nil
}
