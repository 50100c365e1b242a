package main

// #include "uplink.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"

	"github.com/zeebo/errs"
	"storj.io/common/encryption"
	"storj.io/common/errs2"
	"storj.io/common/rpc"
	"storj.io/common/rpc/rpcpool"
	"storj.io/common/rpc/rpcstatus"
	"storj.io/drpc"
	"storj.io/uplink"
	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/object"
)

// coded is an error whose code is known where it arises.
type coded struct {
	code C.int32_t
	err  error
}

func (e coded) Error() string { return e.err.Error() }
func (e coded) Unwrap() error { return e.err }

// newError returns err for C, or nil when there is none. Whoever gets it frees it with
// uplink_free_error. The end of a download is not an error: who reads asks for io.EOF first,
// since here it is a connection that broke.
func newError(err error) *C.UplinkError {
	if err == nil {
		return nil
	}
	return allocError(codeOf(err), err.Error())
}

// newErrorIn is newError for a call made under ctx. Once ctx is over, uplink answers with
// whatever broke first (closed connections, too few nodes, a cancellation); then the code says
// why it is over. While it is not, nobody cancelled: the connection was lost.
func newErrorIn(ctx context.Context, err error) *C.UplinkError {
	if err == nil {
		return nil
	}
	code := codeOf(err)
	switch code {
	case C.UPLINK_ERROR_INTERNAL, C.UPLINK_ERROR_CANCELED, C.BRIDGE_ERROR_TIMEOUT,
		C.BRIDGE_ERROR_NETWORK, C.BRIDGE_ERROR_UNAVAILABLE, C.BRIDGE_ERROR_NODES:
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, context.DeadlineExceeded):
			code = C.BRIDGE_ERROR_TIMEOUT
		case cause != nil:
			code = C.UPLINK_ERROR_CANCELED
		case code == C.UPLINK_ERROR_CANCELED:
			code = C.BRIDGE_ERROR_NETWORK
		}
	}
	return allocError(code, err.Error())
}

// invalidHandle is the error for a handle that is NULL, freed, or of another type.
func invalidHandle(what string) error {
	return coded{C.UPLINK_ERROR_INVALID_HANDLE, fmt.Errorf("invalid handle: %s", what)}
}

// invalidArgument is the error for an argument that cannot be meant.
func invalidArgument(format string, args ...any) error {
	return coded{C.BRIDGE_ERROR_ARGUMENT_INVALID, fmt.Errorf(format, args...)}
}

// guard, deferred by each exported function, turns a panic into an internal error: one that
// crosses into C ends the process.
func guard(result **C.UplinkError) {
	if reason := recover(); reason != nil {
		uplink_free_error(*result)
		*result = allocError(C.UPLINK_ERROR_INTERNAL, fmt.Sprintf("panic: %v\n%s", reason, debug.Stack()))
	}
}

// uplink_free_error frees an error.
//
//export uplink_free_error
func uplink_free_error(err *C.UplinkError) {
	if err == nil {
		return
	}
	C.free(unsafe.Pointer(err.message))
	C.free(unsafe.Pointer(err))
}

func allocError(code C.int32_t, message string) *C.UplinkError {
	result := (*C.UplinkError)(C.calloc(1, C.sizeof_UplinkError))
	result.code = code
	result.message = C.CString(message)
	return result
}

// typed are uplink's own errors. The first that matches counts.
var typed = []struct {
	err  error
	code C.int32_t
}{
	{uplink.ErrTooManyRequests, C.UPLINK_ERROR_TOO_MANY_REQUESTS},
	{uplink.ErrBandwidthLimitExceeded, C.UPLINK_ERROR_BANDWIDTH_LIMIT_EXCEEDED},
	{uplink.ErrStorageLimitExceeded, C.UPLINK_ERROR_STORAGE_LIMIT_EXCEEDED},
	{uplink.ErrSegmentsLimitExceeded, C.UPLINK_ERROR_SEGMENTS_LIMIT_EXCEEDED},
	{uplink.ErrPermissionDenied, C.UPLINK_ERROR_PERMISSION_DENIED},
	{uplink.ErrBucketNameInvalid, C.UPLINK_ERROR_BUCKET_NAME_INVALID},
	{object.ErrBucketNameMissing, C.UPLINK_ERROR_BUCKET_NAME_INVALID},
	{uplink.ErrBucketAlreadyExists, C.UPLINK_ERROR_BUCKET_ALREADY_EXISTS},
	{uplink.ErrBucketNotEmpty, C.UPLINK_ERROR_BUCKET_NOT_EMPTY},
	{uplink.ErrBucketNotFound, C.UPLINK_ERROR_BUCKET_NOT_FOUND},
	{uplink.ErrObjectKeyInvalid, C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{object.ErrObjectKeyMissing, C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{object.ErrObjectKeyTooLong, C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{uplink.ErrObjectNotFound, C.UPLINK_ERROR_OBJECT_NOT_FOUND},
	{uplink.ErrUploadDone, C.UPLINK_ERROR_UPLOAD_DONE},
	{uplink.ErrUploadIDInvalid, C.BRIDGE_ERROR_UPLOAD_NOT_FOUND},
	{object.ErrMethodNotAllowed, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{object.ErrObjectProtected, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{object.ErrObjectLockInvalidObjectState, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{object.ErrObjectVersionInvalid, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{object.ErrDeleteObjectsNoItems, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{object.ErrDeleteObjectsTooManyItems, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{object.ErrUnsupportedDelimiter, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{object.ErrDeleteObjectsUnimplemented, C.BRIDGE_ERROR_NOT_IMPLEMENTED},
	{object.ErrUnimplemented, C.BRIDGE_ERROR_NOT_IMPLEMENTED},
}

// classes are the errors below those: of storj.io/common, and of metaclient where it is called
// without the conversions of package uplink.
var classes = []struct {
	class *errs.Class
	code  C.int32_t
}{
	{&encryption.ErrMissingEncryptionBase, C.UPLINK_ERROR_PERMISSION_DENIED},
	{&encryption.ErrMissingDecryptionBase, C.UPLINK_ERROR_PERMISSION_DENIED},
	{&encryption.ErrDecryptFailed, C.BRIDGE_ERROR_DECRYPTION_FAILED},
	{&metaclient.ErrObjectMetadata, C.BRIDGE_ERROR_DECRYPTION_FAILED},
	{&metaclient.ErrNoBucket, C.UPLINK_ERROR_BUCKET_NAME_INVALID},
	{&metaclient.ErrBucketNotFound, C.UPLINK_ERROR_BUCKET_NOT_FOUND},
	{&metaclient.ErrNoPath, C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{&metaclient.ErrObjectNotFound, C.UPLINK_ERROR_OBJECT_NOT_FOUND},
	{&metaclient.ErrUploadIDInvalid, C.BRIDGE_ERROR_UPLOAD_NOT_FOUND},
	{&metaclient.ErrMethodNotAllowed, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{&metaclient.ErrObjectProtected, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{&metaclient.ErrObjectLockInvalidObjectState, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{&metaclient.ErrUnsupportedDelimiter, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{&metaclient.ErrUnimplemented, C.BRIDGE_ERROR_NOT_IMPLEMENTED},
}

// said are the errors that only their words tell: uplink's and the satellite's own
// (v1.162.3, satellite/metainfo and satellite/metabase).
var said = []struct {
	words string
	code  C.int32_t
}{
	{"Encrypted metadata is too large", C.BRIDGE_ERROR_METADATA_TOO_LARGE},
	{"object was changed during", C.BRIDGE_ERROR_OBJECT_CHANGED},
	{"is below minimum threshold", C.BRIDGE_ERROR_PART_TOO_SMALL},
	{"pending object missing", C.BRIDGE_ERROR_UPLOAD_NOT_FOUND},
	{"bucket not found", C.UPLINK_ERROR_BUCKET_NOT_FOUND},
	{"Exceeded Usage Limit", C.UPLINK_ERROR_BANDWIDTH_LIMIT_EXCEEDED},
	{"Exceeded Storage Limit", C.UPLINK_ERROR_STORAGE_LIMIT_EXCEEDED},
	{"Exceeded Segments Limit", C.UPLINK_ERROR_SEGMENTS_LIMIT_EXCEEDED},
	{"key length is too big", C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{"object already exists", C.BRIDGE_ERROR_OBJECT_EXISTS},
	{"number of allocated buckets", C.BRIDGE_ERROR_BUCKETS_LIMIT_EXCEEDED},
	{"Invalid API credentials", C.BRIDGE_ERROR_UNAUTHENTICATED},
	{"Too Many Requests", C.UPLINK_ERROR_TOO_MANY_REQUESTS},
	{"failed to upload enough pieces", C.BRIDGE_ERROR_NODES},
	{"too many retries: are any nodes reachable", C.BRIDGE_ERROR_NODES},
	{"not enough nodes", C.BRIDGE_ERROR_NODES},
	{"not enough readers to reconstruct", C.BRIDGE_ERROR_NODES},
	{"error retrieving piece", C.BRIDGE_ERROR_NODES},
	// Last, since a node's is among those. Its class is lost on the way (peertls.NonTemporaryError).
	{"peer ID did not match requested ID", C.BRIDGE_ERROR_WRONG_SATELLITE},
}

// statuses are what the satellite answers by number alone.
var statuses = []struct {
	status rpcstatus.StatusCode
	code   C.int32_t
}{
	{rpcstatus.ObjectKeyTooLong, C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{rpcstatus.ObjectKeyMissing, C.UPLINK_ERROR_OBJECT_KEY_INVALID},
	{rpcstatus.BucketNotFound, C.UPLINK_ERROR_BUCKET_NOT_FOUND},
	{rpcstatus.BucketNameInvalid, C.UPLINK_ERROR_BUCKET_NAME_INVALID},
	{rpcstatus.BucketNameMissing, C.UPLINK_ERROR_BUCKET_NAME_INVALID},
	{rpcstatus.StreamIDInvalid, C.BRIDGE_ERROR_UPLOAD_NOT_FOUND},
	{rpcstatus.Unauthenticated, C.BRIDGE_ERROR_UNAUTHENTICATED},
	{rpcstatus.PermissionDenied, C.UPLINK_ERROR_PERMISSION_DENIED},
	{rpcstatus.ResourceExhausted, C.UPLINK_ERROR_TOO_MANY_REQUESTS},
	{rpcstatus.AlreadyExists, C.BRIDGE_ERROR_OBJECT_EXISTS},
	{rpcstatus.FailedPrecondition, C.BRIDGE_ERROR_PRECONDITION_FAILED},
	{rpcstatus.NotFound, C.UPLINK_ERROR_OBJECT_NOT_FOUND},
	{rpcstatus.InvalidArgument, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{rpcstatus.OutOfRange, C.BRIDGE_ERROR_ARGUMENT_INVALID},
	{rpcstatus.Unimplemented, C.BRIDGE_ERROR_NOT_IMPLEMENTED},
	{rpcstatus.MethodNotAllowed, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{rpcstatus.ObjectLockObjectProtected, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{rpcstatus.ObjectLockInvalidObjectState, C.BRIDGE_ERROR_OBJECT_LOCKED},
	{rpcstatus.DeadlineExceeded, C.BRIDGE_ERROR_TIMEOUT},
	{rpcstatus.Unavailable, C.BRIDGE_ERROR_UNAVAILABLE},
	{rpcstatus.Aborted, C.BRIDGE_ERROR_UNAVAILABLE},
}

// codeOf returns what err means. The order counts, since uplink joins errors: what the
// satellite meant comes before how the connections then ended.
func codeOf(err error) C.int32_t {
	var known coded
	if errors.As(err, &known) {
		return known.code
	}
	for _, row := range typed {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	message := err.Error()
	for _, row := range said {
		if strings.Contains(message, row.words) {
			return row.code
		}
	}
	for _, row := range classes {
		if row.class.Has(err) {
			return row.code
		}
	}
	if errors.Is(err, context.Canceled) {
		return C.UPLINK_ERROR_CANCELED
	}
	for _, row := range statuses {
		if errs2.IsRPC(err, row.status) {
			return row.code
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return C.BRIDGE_ERROR_TIMEOUT
	}
	if brokenConnection(err) {
		return C.BRIDGE_ERROR_NETWORK
	}
	return C.UPLINK_ERROR_INTERNAL
}

// brokenConnection tells whether err is about reaching a peer, not about what it said.
func brokenConnection(err error) bool {
	var network net.Error
	var system syscall.Errno
	return errors.As(err, &network) || errors.As(err, &system) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		rpc.Error.Has(err) || rpcpool.Error.Has(err) ||
		drpc.ClosedError.Has(err) || drpc.ProtocolError.Has(err)
}
