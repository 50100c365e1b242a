package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"errors"
	"time"

	"storj.io/common/pb"
	"storj.io/uplink/private/eestream/scheduler"
	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/stalldetection"
	"storj.io/uplink/private/storage/streams"
)

// put writes a whole object that is at hand: what uplink needs fewest requests for.
func (s *store) put(ctx context.Context, key string, content []byte, metadata map[string]string, ifAbsent bool) (made entry, err error) {
	client, err := s.dial(ctx)
	if err != nil {
		return made, err
	}
	watched := &watchedClient{Client: client}
	uploader, err := streams.NewUploader(watched, s.nodes, segmentSize, s.keys(), encryptionParameters, inlineSize, stalldetection.ConfigFromEnv())
	if err != nil {
		return made, errors.Join(err, client.Close())
	}
	defer func() { err = errors.Join(err, uploader.Close()) }()

	options := &metaclient.UploadOptions{}
	if ifAbsent {
		options.IfNoneMatch = anyVersion
	}
	upload, err := uploader.UploadObject(ctx, s.bucket, key, pairs(metadata), scheduler.New(scheduling(1)), options)
	if err != nil {
		return made, err
	}
	if _, err = upload.Write(content); err != nil {
		// It says that sending has ended; why, only Commit says, which can but fail now.
		return made, errors.Join(upload.Commit(), err)
	}
	if err = upload.Commit(); err != nil {
		return made, err
	}
	return s.entryOf(ctx, key, watched.committed), nil
}

// watchedClient keeps the object that the satellite says was committed. uplink's upload forgets
// its version.
type watchedClient struct {
	*metaclient.Client
	committed metaclient.RawObjectItem
}

// cleaningUp is how long uplink may take to remove an upload that failed: its own context has no
// end, and the call that failed waits for it.
const cleaningUp = 5 * time.Second

func (c *watchedClient) Batch(ctx context.Context, items ...metaclient.BatchItem) ([]metaclient.BatchResponse, error) {
	if ctx.Done() == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cleaningUp)
		defer cancel()
	}
	responses, err := c.Client.Batch(ctx, items...)
	if err != nil {
		return nil, err
	}
	for _, response := range responses {
		if response.IsCommitObject() {
			commit, err := response.CommitObject()
			if err != nil {
				return nil, err
			}
			c.committed = commit.Object
		}
	}
	return responses, nil
}

// pairs is metadata as uplink's upload asks for it.
type pairs map[string]string

func (p pairs) Metadata() ([]byte, error) {
	return pb.Marshal(&pb.SerializableMeta{UserDefined: p})
}

func (p pairs) ETag() ([]byte, error) { return nil, nil }

// bridge_put writes a whole object and hands out its entry.
//
//export bridge_put
func bridge_put(handle C.size_t, key *C.char, content *C.uint8_t, size C.size_t, metadata *C.uint8_t, metadataSize C.size_t, ifAbsent C.bool, milliseconds C.int64_t, made *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		custom, err := takeMetadata(given(metadata, metadataSize))
		if err != nil {
			return err
		}
		described, err := s.put(ctx, C.GoString(key), given(content, size), custom, bool(ifAbsent))
		if err == nil {
			handOut(made, described.append(nil))
		}
		return err
	})
}
