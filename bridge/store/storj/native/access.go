package main

// #include "uplink.h"
import "C"

import (
	"unsafe"

	"storj.io/uplink"
)

// access is a grant that C holds.
type access struct{ *uplink.Access }

// encryptionKey is a key that C holds.
type encryptionKey struct{ *uplink.EncryptionKey }

// heldAccess returns the grant that pointer stands for.
func heldAccess(pointer *C.UplinkAccess) (*access, error) {
	if pointer != nil {
		if acc, ok := held[*access](pointer._handle); ok {
			return acc, nil
		}
	}
	return nil, invalidHandle("access")
}

// allocAccess hands a grant to C, which frees it with uplink_free_access_result.
func allocAccess(acc *uplink.Access) *C.UplinkAccess {
	pointer := (*C.UplinkAccess)(C.calloc(1, C.sizeof_UplinkAccess))
	pointer._handle = keep(&access{acc})
	return pointer
}

// uplink_parse_access reads a serialized access grant.
//
//export uplink_parse_access
func uplink_parse_access(text *C.uplink_const_char) (result C.UplinkAccessResult) {
	defer guard(&result.error)
	acc, err := parseAccess(C.GoString(text))
	if err != nil {
		result.error = newError(err)
		return result
	}
	result.access = allocAccess(acc)
	return result
}

// parseAccess is uplink.ParseAccess for text from anywhere.
func parseAccess(text string) (acc *uplink.Access, err error) {
	// uplink panics on a grant without its part for encryption (grant.ParseAccess, 2026-08).
	defer func() {
		if recover() != nil {
			acc, err = nil, coded{C.BRIDGE_ERROR_GRANT_INVALID, errNotAGrant}
		}
	}()
	acc, err = uplink.ParseAccess(text)
	if err != nil {
		return nil, coded{C.BRIDGE_ERROR_GRANT_INVALID, err}
	}
	return acc, nil
}

// uplink_free_access_result frees a result and the grant in it.
//
//export uplink_free_access_result
func uplink_free_access_result(result C.UplinkAccessResult) {
	uplink_free_error(result.error)
	if result.access != nil {
		drop(result.access._handle)
		C.free(unsafe.Pointer(result.access))
	}
}
