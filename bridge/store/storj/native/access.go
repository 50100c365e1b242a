package main

// #include "uplink.h"
import "C"

import (
	"context"
	"errors"
	"sync"
	"unsafe"

	"storj.io/uplink"
)

// access is a grant that C holds. Its lock is for the grant's keys: overriding one writes to
// maps that everything else reads.
type access struct {
	*uplink.Access
	sync.RWMutex
	opened bool // a project reads the keys, without the lock
}

// heldAccess returns the grant that pointer stands for.
func heldAccess(pointer *C.UplinkAccess) (*access, error) {
	if pointer != nil {
		if acc, ok := held[*access](pointer._handle); ok {
			return acc, nil
		}
	}
	return nil, invalidHandle("access")
}

// newAccessResult hands a grant, or why there is none, to C.
func newAccessResult(acc *uplink.Access, err error) (result C.UplinkAccessResult) {
	if err != nil {
		result.error = newError(err)
		return result
	}
	result.access = (*C.UplinkAccess)(C.calloc(1, C.sizeof_UplinkAccess))
	result.access._handle = keep(&access{Access: acc})
	return result
}

// newStringResult hands a text, or why there is none, to C.
func newStringResult(text string, err error) (result C.UplinkStringResult) {
	if err != nil {
		result.error = newError(err)
		return result
	}
	result.string = C.CString(text)
	return result
}

// uplink_parse_access reads a serialized access grant.
//
//export uplink_parse_access
func uplink_parse_access(text *C.uplink_const_char) (result C.UplinkAccessResult) {
	defer guard(&result.error)
	return newAccessResult(parseAccess(C.GoString(text)))
}

// parseAccess is uplink.ParseAccess for text from anywhere.
func parseAccess(text string) (acc *uplink.Access, err error) {
	defer func() {
		// uplink panics on a grant without its part for encryption (grant.ParseAccess).
		if recover() != nil {
			err = errors.New("access grant is incomplete")
		}
		if err != nil {
			acc, err = nil, coded{C.BRIDGE_ERROR_GRANT_INVALID, err}
		}
	}()
	return uplink.ParseAccess(text)
}

// uplink_request_access_with_passphrase is uplink_config_request_access_with_passphrase with
// uplink's defaults.
//
//export uplink_request_access_with_passphrase
func uplink_request_access_with_passphrase(satellite, key, passphrase *C.uplink_const_char) C.UplinkAccessResult {
	return uplink_config_request_access_with_passphrase(C.UplinkConfig{}, satellite, key, passphrase)
}

// uplink_config_request_access_with_passphrase makes a grant from an API key and a passphrase.
// It asks the satellite for the project's salt, and takes 64 MiB of memory for a moment.
//
//export uplink_config_request_access_with_passphrase
func uplink_config_request_access_with_passphrase(
	config C.UplinkConfig, satellite, key, passphrase *C.uplink_const_char,
) (result C.UplinkAccessResult) {
	defer guard(&result.error)
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	acc, err := uplinkConfig(config).RequestAccessWithPassphrase(
		ctx, C.GoString(satellite), C.GoString(key), C.GoString(passphrase))
	if err != nil {
		result.error = newErrorIn(ctx, err)
		return result
	}
	return newAccessResult(acc, nil)
}

// uplink_access_satellite_address returns a grant's satellite as <node id>@<host>:<port>.
//
//export uplink_access_satellite_address
func uplink_access_satellite_address(access *C.UplinkAccess) (result C.UplinkStringResult) {
	defer guard(&result.error)
	acc, err := heldAccess(access)
	if err != nil {
		return newStringResult("", err)
	}
	return newStringResult(acc.SatelliteAddress(), nil)
}

// uplink_access_serialize returns a grant as text.
//
//export uplink_access_serialize
func uplink_access_serialize(access *C.UplinkAccess) (result C.UplinkStringResult) {
	defer guard(&result.error)
	acc, err := heldAccess(access)
	if err != nil {
		return newStringResult("", err)
	}
	acc.RLock()
	defer acc.RUnlock()
	return newStringResult(acc.Serialize())
}

// uplink_free_string_result frees a result and the text in it.
//
//export uplink_free_string_result
func uplink_free_string_result(result C.UplinkStringResult) {
	uplink_free_error(result.error)
	C.free(unsafe.Pointer(result.string))
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
