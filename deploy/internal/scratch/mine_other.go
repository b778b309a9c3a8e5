//go:build !unix

package scratch

import "io/fs"

// mine reports true: such a system gives each user a folder for temporary files.
func mine(fs.FileInfo) bool { return true }
