//go:build !linux && !darwin

package osenv

import (
	"errors"
	"os"
)

// lock refuses: two nodes on one directory would ruin it.
func lock(*os.File) error { return errors.ErrUnsupported }

func usage(string) (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
