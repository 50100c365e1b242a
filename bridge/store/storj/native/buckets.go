package main

// #include "uplink.h"
import "C"

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"

	"storj.io/common/errs2"
	"storj.io/common/rpc/rpcstatus"
	"storj.io/uplink"
)

// bucketCall is a call about one bucket. It may give a bucket and an error together.
func bucketCall(
	project *C.UplinkProject, name *C.uplink_const_char, limit time.Duration,
	call func(p *uplink.Project, ctx context.Context, name string) (*uplink.Bucket, error),
) (result C.UplinkBucketResult) {
	defer guard(&result.error)
	p, err := heldProject(project)
	if err != nil {
		result.error = newError(err)
		return result
	}
	ctx, cancel := p.within(limit)
	defer cancel()
	bucket, err := call(p.Project, ctx, C.GoString(name))
	result.bucket = allocBucket(bucket)
	result.error = newErrorIn(ctx, err)
	return result
}

func allocBucket(bucket *uplink.Bucket) *C.UplinkBucket {
	if bucket == nil {
		return nil
	}
	result := (*C.UplinkBucket)(C.calloc(1, C.sizeof_UplinkBucket))
	result.name = C.CString(bucket.Name)
	if !bucket.Created.IsZero() {
		result.created = C.int64_t(bucket.Created.Unix())
	}
	return result
}

// uplink_stat_bucket describes a bucket.
//
//export uplink_stat_bucket
func uplink_stat_bucket(project *C.UplinkProject, name *C.uplink_const_char) C.UplinkBucketResult {
	return bucketCall(project, name, callLimit, (*uplink.Project).StatBucket)
}

// uplink_create_bucket makes a bucket. Where there is one already, it gives that and an error.
//
//export uplink_create_bucket
func uplink_create_bucket(project *C.UplinkProject, name *C.uplink_const_char) C.UplinkBucketResult {
	return bucketCall(project, name, callLimit, (*uplink.Project).CreateBucket)
}

// uplink_ensure_bucket makes a bucket unless there is one.
//
//export uplink_ensure_bucket
func uplink_ensure_bucket(project *C.UplinkProject, name *C.uplink_const_char) C.UplinkBucketResult {
	return bucketCall(project, name, callLimit, (*uplink.Project).EnsureBucket)
}

// uplink_delete_bucket deletes an empty bucket.
//
//export uplink_delete_bucket
func uplink_delete_bucket(project *C.UplinkProject, name *C.uplink_const_char) C.UplinkBucketResult {
	return bucketCall(project, name, callLimit, (*uplink.Project).DeleteBucket)
}

// uplink_delete_bucket_with_objects deletes a bucket and what is in it.
//
//export uplink_delete_bucket_with_objects
func uplink_delete_bucket_with_objects(project *C.UplinkProject, name *C.uplink_const_char) C.UplinkBucketResult {
	return bucketCall(project, name, emptyLimit,
		func(p *uplink.Project, ctx context.Context, name string) (*uplink.Bucket, error) {
			bucket, err := p.DeleteBucketWithObjects(ctx, name)
			if errs2.IsRPC(err, rpcstatus.FailedPrecondition) { // others write to it meanwhile
				err = coded{C.UPLINK_ERROR_BUCKET_NOT_EMPTY, err}
			}
			return bucket, err
		})
}

// uplink_free_bucket_result frees a result and the bucket in it.
//
//export uplink_free_bucket_result
func uplink_free_bucket_result(result C.UplinkBucketResult) {
	uplink_free_error(result.error)
	uplink_free_bucket(result.bucket)
}

// uplink_free_bucket frees a bucket.
//
//export uplink_free_bucket
func uplink_free_bucket(bucket *C.UplinkBucket) {
	if bucket == nil {
		return
	}
	C.free(unsafe.Pointer(bucket.name))
	C.free(unsafe.Pointer(bucket))
}

// bucketIterator is a listing that C holds. uplink-python asks for its error before the first
// step and never again, so the first step is made at the beginning: else a listing that fails
// looks like an empty one.
type bucketIterator struct {
	sync.Mutex
	ctx     context.Context
	cancel  context.CancelCauseFunc
	buckets *uplink.BucketIterator
	ahead   bool // the first step is made, and not yet asked for
	more    bool
	failed  error // other than the listing's own
}

// step goes to the next bucket.
func (it *bucketIterator) step() {
	defer func() {
		if reason := recover(); reason != nil {
			it.more, it.failed = false, fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	timer := time.AfterFunc(callLimit, func() { it.cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	it.more = it.buckets.Next()
}

// heldIterator returns the listing that pointer stands for.
func heldIterator(pointer *C.UplinkBucketIterator) (*bucketIterator, error) {
	if pointer != nil {
		if it, ok := held[*bucketIterator](pointer._handle); ok {
			return it, nil
		}
	}
	return nil, invalidHandle("bucket iterator")
}

// uplink_list_buckets begins a listing, by name. What fails is told by
// uplink_bucket_iterator_err.
//
//export uplink_list_buckets
func uplink_list_buckets(project *C.UplinkProject, options *C.UplinkListBucketsOptions) *C.UplinkBucketIterator {
	it := &bucketIterator{ahead: true, cancel: func(error) {}}
	if p, err := heldProject(project); err != nil {
		it.failed = err
	} else {
		var chosen uplink.ListBucketsOptions
		if options != nil {
			chosen.Cursor = C.GoString(options.cursor)
		}
		it.ctx, it.cancel = context.WithCancelCause(p.ctx)
		it.buckets = p.ListBuckets(it.ctx, &chosen)
		it.step()
	}
	result := (*C.UplinkBucketIterator)(C.calloc(1, C.sizeof_UplinkBucketIterator))
	result._handle = keep(it)
	return result
}

// uplink_bucket_iterator_next goes to the next bucket; false at the end and on an error.
//
//export uplink_bucket_iterator_next
func uplink_bucket_iterator_next(iterator *C.UplinkBucketIterator) C.bool {
	it, err := heldIterator(iterator)
	if err != nil {
		return false
	}
	it.Lock()
	defer it.Unlock()
	if !it.ahead && it.more {
		it.step()
	}
	it.ahead = false
	return C.bool(it.more)
}

// uplink_bucket_iterator_err tells why a listing ended; NULL while it goes on, and when all
// was listed.
//
//export uplink_bucket_iterator_err
func uplink_bucket_iterator_err(iterator *C.UplinkBucketIterator) (failure *C.UplinkError) {
	defer guard(&failure)
	it, err := heldIterator(iterator)
	if err != nil {
		return newError(err)
	}
	it.Lock()
	defer it.Unlock()
	if it.failed != nil {
		return newError(it.failed)
	}
	return newErrorIn(it.ctx, it.buckets.Err())
}

// uplink_bucket_iterator_item returns the bucket of the last step, which the caller frees with
// uplink_free_bucket.
//
//export uplink_bucket_iterator_item
func uplink_bucket_iterator_item(iterator *C.UplinkBucketIterator) *C.UplinkBucket {
	it, err := heldIterator(iterator)
	if err != nil {
		return nil
	}
	it.Lock()
	defer it.Unlock()
	if it.ahead || !it.more {
		return nil
	}
	return allocBucket(it.buckets.Item())
}

// uplink_free_bucket_iterator ends a listing and frees it.
//
//export uplink_free_bucket_iterator
func uplink_free_bucket_iterator(iterator *C.UplinkBucketIterator) {
	if iterator == nil {
		return
	}
	if it, err := heldIterator(iterator); err == nil {
		it.cancel(context.Canceled)
	}
	drop(iterator._handle)
	C.free(unsafe.Pointer(iterator))
}
