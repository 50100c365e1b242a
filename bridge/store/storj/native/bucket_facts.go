package main

// #include "uplink.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"

	"storj.io/uplink"
	"storj.io/uplink/private/bucket"
)

// unversioned is the highest state of a bucket that never kept old versions (satellite/buckets,
// Unversioned). Objects can be locked in versioned buckets only.
const unversioned = 1

// bucketFacts are what a bucket's makers chose, and whom the satellite credits with it.
type bucketFacts struct {
	// Attribution is a user agent; "" is nobody.
	Attribution string `json:"attribution"`
	// Location is where its data lie, in the satellite's words.
	Location string `json:"location"`
	// Plain: it keeps no versions and has no tags, as a new one. Few grants may see more.
	Plain bool `json:"plain"`
}

func describeBucket(p *uplink.Project, ctx context.Context, name string) (described bucketFacts, err error) {
	if described.Attribution, err = attribution(p, ctx, name); err != nil {
		return described, err
	}
	if described.Location, err = bucket.GetBucketLocation(ctx, p, name); err != nil {
		return described, err
	}
	versioning, err := bucket.GetBucketVersioning(ctx, p, name)
	if err != nil {
		return described, err
	}
	tags, err := bucket.GetBucketTagging(ctx, p, name)
	if err != nil && !errors.Is(err, bucket.ErrTagsNotFound) && !errors.Is(err, bucket.ErrUnimplemented) {
		return described, err
	}
	described.Plain = versioning <= unversioned && len(tags) == 0
	return described, nil
}

// attribution looks the bucket up in the list of all: only there does the satellite tell it.
func attribution(p *uplink.Project, ctx context.Context, name string) (string, error) {
	buckets := bucket.ListBucketsWithAttribution(ctx, p, nil)
	for buckets.Next() {
		if item := buckets.Item(); item.Name == name {
			return item.Attribution, nil
		}
	}
	if err := buckets.Err(); err != nil {
		return "", err
	}
	return "", uplink.ErrBucketNotFound
}

// bridge_bucket_facts describes a bucket as JSON.
//
//export bridge_bucket_facts
func bridge_bucket_facts(project *C.UplinkProject, name *C.uplink_const_char) (result C.UplinkStringResult) {
	defer guard(&result.error)
	p, err := heldProject(project)
	if err != nil {
		return newStringResult("", err)
	}
	ctx, cancel := p.within(callLimit)
	defer cancel()
	described, err := describeBucket(p.Project, ctx, C.GoString(name))
	if err != nil {
		result.error = newErrorIn(ctx, err)
		return result
	}
	text, err := json.Marshal(described)
	return newStringResult(string(text), err)
}

// bridge_create_bucket_at makes a bucket whose data lie at a location in the satellite's words; ""
// is the project's own.
//
//export bridge_create_bucket_at
func bridge_create_bucket_at(project *C.UplinkProject, name, location *C.uplink_const_char) C.UplinkBucketResult {
	place := C.GoString(location)
	return bucketCall(project, name, callLimit,
		func(p *uplink.Project, ctx context.Context, name string) (*uplink.Bucket, error) {
			made, err := bucket.CreateBucketWithObjectLock(ctx, p, bucket.CreateBucketWithObjectLockParams{
				Name: name, Placement: place,
			})
			if err != nil {
				return nil, err
			}
			return &uplink.Bucket{Name: made.Name, Created: made.Created}, nil
		})
}
