//go:build cgo && !dynamic && !(linux && (amd64 || arm64))

package abi

// The module has no library for this platform. The compiler's message for this line says what to do.
var _ = imagxp_has_no_library_for_this_platform__install_libimagxp_and_build_with_tags_dynamic
