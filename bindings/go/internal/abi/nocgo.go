//go:build !cgo

package abi

// The library is linked with cgo. The compiler's message for this line says what to do.
var _ = imagxp_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler
