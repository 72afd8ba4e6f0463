//go:build cgo && !dynamic

package abi

/*
#cgo CFLAGS: -I${SRCDIR}/lib/include
#cgo linux,amd64 LDFLAGS: ${SRCDIR}/lib/linux_amd64/libimagxp.a
#cgo linux,arm64 LDFLAGS: ${SRCDIR}/lib/linux_arm64/libimagxp.a
*/
import "C"

// Named, so that `go mod vendor` takes the folders along.
import (
	_ "github.com/imagxp/imagxp/bindings/go/internal/abi/lib/include"
	_ "github.com/imagxp/imagxp/bindings/go/internal/abi/lib/linux_amd64"
	_ "github.com/imagxp/imagxp/bindings/go/internal/abi/lib/linux_arm64"
)
