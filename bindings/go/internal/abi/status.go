//go:build cgo

package abi

/*
#include "shim.h"

static imagxp_status imagxp_go_check_agent_id(const char *name, size_t len, int32_t mode)
{
    return imagxp_host_check_agent_id(imagxp_str_of(name, len), mode);
}

static imagxp_status imagxp_go_jcs(const char *json, size_t json_len, uint8_t *out, size_t out_len, size_t *needed)
{
    return imagxp_jcs(imagxp_str_of(json, json_len), imagxp_go_buf(out, out_len), needed);
}

static int32_t imagxp_go_matters(const char *name, size_t len) { return imagxp_header_matters(imagxp_str_of(name, len)); }

#cgo noescape imagxp_abi_version
#cgo nocallback imagxp_abi_version
#cgo noescape imagxp_go_check_agent_id
#cgo nocallback imagxp_go_check_agent_id
#cgo noescape imagxp_go_jcs
#cgo nocallback imagxp_go_jcs
#cgo noescape imagxp_go_matters
#cgo nocallback imagxp_go_matters
#cgo noescape imagxp_host_may_connect
#cgo nocallback imagxp_host_may_connect
#cgo noescape imagxp_status_help
#cgo nocallback imagxp_status_help
#cgo noescape imagxp_status_http
#cgo nocallback imagxp_status_http
#cgo noescape imagxp_status_name
#cgo nocallback imagxp_status_name
#cgo noescape imagxp_status_is_behind_signature
#cgo nocallback imagxp_status_is_behind_signature
#cgo noescape imagxp_status_public
#cgo nocallback imagxp_status_public
#cgo noescape imagxp_status_retry_after_s
#cgo nocallback imagxp_status_retry_after_s
*/
import "C"

import "unsafe"

// StatusName, StatusHelp: texts of the library that live for ever.
func StatusName(status int32) string { return goString(C.imagxp_status_name(C.imagxp_status(status))) }

// StatusHelp is the sentence for logs and tools.
func StatusHelp(status int32) string { return goString(C.imagxp_status_help(C.imagxp_status(status))) }

// StatusHTTP is the HTTP status to answer with.
func StatusHTTP(status int32) int { return int(C.imagxp_status_http(C.imagxp_status(status))) }

// StatusPublic is the status that a remote client may be told.
func StatusPublic(status int32) int32 {
	return int32(C.imagxp_status_public(C.imagxp_status(status)))
}

// StatusIsBehindSignature says whether a key or a signature was checked before this was found.
func StatusIsBehindSignature(status int32) bool {
	return C.imagxp_status_is_behind_signature(C.imagxp_status(status)) != 0
}

// StatusRetryAfterS is for Retry-After; 0 is none.
func StatusRetryAfterS(status int32) uint32 {
	return uint32(C.imagxp_status_retry_after_s(C.imagxp_status(status)))
}

// Version is the IMAGXP_ABI of the library that was linked.
func Version() uint32 { return uint32(C.imagxp_abi_version()) }

// MayConnect judges an address of 4 or 16 bytes.
func MayConnect(address []byte) int32 {
	return int32(C.imagxp_host_may_connect(bytesPtr(address), C.size_t(len(address))))
}

// CheckAgentID judges a name; development admits localhost.
func CheckAgentID(name string, development bool) int32 {
	mode := C.int32_t(C.IMAGXP_MODE_PRODUCTION)
	if development {
		mode = C.IMAGXP_MODE_DEVELOPMENT
	}
	return int32(C.imagxp_go_check_agent_id(textPtr(name), C.size_t(len(name)), mode))
}

// HeaderMatters says whether a header of this name is read.
func HeaderMatters(name string) bool {
	return C.imagxp_go_matters(textPtr(name), C.size_t(len(name))) != 0
}

// JCS writes the canonical form of a JSON text.
func JCS(json []byte) ([]byte, int32) {
	out := make([]byte, 6*len(json)+64)
	var needed C.size_t
	status := C.imagxp_go_jcs((*C.char)(unsafePointer(json)), C.size_t(len(json)), bytesPtr(out), C.size_t(len(out)), &needed)
	if status != OK {
		return nil, int32(status)
	}
	return out[:needed], OK
}

func goString(text C.imagxp_str) string { return C.GoStringN(text.ptr, C.int(text.len)) }

func unsafePointer(bytes []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(bytes)) }
