// Package difference shows people how rendered manifests differ from those in a folder.
//
// It exists because a comparison of YAML line by line shows what moved. A reviewer wants to
// know what changed: which value of which object.
package difference

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gonvenience/bunt"
	"github.com/gonvenience/ytbx"
	"github.com/homeport/dyff/pkg/dyff"

	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// Folder compares files with the files of the same paths below dir. It compares values:
// comments and the order of keys do not count. An empty result means no difference.
func Folder(dir string, files []manifest.File) (string, error) {
	bunt.SetColorSettings(bunt.OFF, bunt.OFF)
	var b strings.Builder
	for _, file := range files {
		current, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file.Path)))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(&b, "%s: new\n\n", file.Path)
			continue
		}
		if err != nil {
			return "", fmt.Errorf("compare with %s: %w", dir, err)
		}
		if err := compare(&b, file.Path, string(current), file.Content); err != nil {
			return "", fmt.Errorf("compare with %s: %s: %w", dir, file.Path, err)
		}
	}
	gone, err := others(dir, files)
	if err != nil {
		return "", fmt.Errorf("compare with %s: %w", dir, err)
	}
	for _, path := range gone {
		fmt.Fprintf(&b, "%s: no longer rendered\n\n", path)
	}
	return b.String(), nil
}

func compare(b *strings.Builder, path, current, rendered string) error {
	from, err := ytbx.LoadDocuments([]byte(current))
	if err != nil {
		return err
	}
	to, err := ytbx.LoadDocuments([]byte(rendered))
	if err != nil {
		return err
	}
	report, err := dyff.CompareInputFiles(
		ytbx.InputFile{Location: path, Documents: from},
		ytbx.InputFile{Location: path, Documents: to},
		dyff.KubernetesEntityDetection(true),
	)
	if err != nil || len(report.Diffs) == 0 {
		return err
	}
	fmt.Fprintf(b, "%s:\n", path)
	return (&dyff.HumanReport{Report: report, OmitHeader: true, NoTableStyle: true, DoNotInspectCerts: true}).WriteReport(b)
}

// others lists the YAML files below dir that are not among files.
func others(dir string, files []manifest.File) ([]string, error) {
	var paths []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		if !slices.ContainsFunc(files, func(f manifest.File) bool { return f.Path == path }) {
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}
