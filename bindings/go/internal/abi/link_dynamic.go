//go:build cgo && dynamic

package abi

// #cgo pkg-config: imagxp
import "C"
