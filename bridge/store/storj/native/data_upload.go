package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"errors"
	"io"

	"storj.io/common/base58"
	"storj.io/common/pb"
	"storj.io/common/storj"
	"storj.io/uplink"
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
	upload, err := uploader.UploadObject(ctx, s.bucket, key, pairs(metadata), scheduler.New(s.scheduling), options)
	if err != nil {
		return made, err
	}
	if _, err = upload.Write(content); err != nil {
		return made, errors.Join(err, upload.Abort())
	}
	if err = upload.Commit(); err != nil {
		return made, err
	}
	return s.entryOf(ctx, key, watched.committed)
}

// watchedClient keeps the object that the satellite says was committed. uplink's upload forgets
// its version.
type watchedClient struct {
	*metaclient.Client
	committed metaclient.RawObjectItem
}

func (c *watchedClient) Batch(ctx context.Context, items ...metaclient.BatchItem) ([]metaclient.BatchResponse, error) {
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

// bridge_create_multipart begins an upload of parts and hands out its id.
//
//export bridge_create_multipart
func bridge_create_multipart(handle C.size_t, key *C.char, milliseconds C.int64_t, id *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		begun, err := s.project.BeginUpload(ctx, s.bucket, C.GoString(key), nil)
		if err == nil {
			handOut(id, []byte(begun.UploadID))
		}
		return err
	})
}

// bridge_complete_multipart makes an object of all committed parts and hands out its entry.
//
//export bridge_complete_multipart
func bridge_complete_multipart(handle C.size_t, key, id *C.char, metadata *C.uint8_t, metadataSize C.size_t, ifAbsent C.bool, milliseconds C.int64_t, made *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		custom, err := takeMetadata(given(metadata, metadataSize))
		if err != nil {
			return err
		}
		whole, err := s.complete(ctx, C.GoString(key), C.GoString(id), custom, bool(ifAbsent))
		if err == nil {
			handOut(made, whole.append(nil))
		}
		return err
	})
}

// complete publishes an upload of parts. uplink's own function tells no version.
func (s *store) complete(ctx context.Context, key, id string, metadata map[string]string, ifAbsent bool) (made entry, err error) {
	stream, err := streamOf(id)
	if err != nil {
		return made, err
	}
	sealed, err := s.sealMetadata(key, metadata)
	if err != nil {
		return made, err
	}
	params := metaclient.CommitObjectParams{StreamID: stream, EncryptedUserData: sealed}
	if ifAbsent {
		params.IfNoneMatch = anyVersion
	}
	err = s.satellite(ctx, func(client *metaclient.Client) error {
		committed, err := client.CommitObjectWithResponse(ctx, params)
		if err != nil {
			return err
		}
		made, err = s.entryOf(ctx, key, committed.Object)
		return err
	})
	return made, err
}

// streamOf reads the upload id that uplink makes of a stream id.
func streamOf(id string) (storj.StreamID, error) {
	decoded, version, err := base58.CheckDecode(id)
	if err != nil || version != 1 {
		return nil, uplink.ErrUploadIDInvalid
	}
	return storj.StreamIDFromBytes(decoded)
}

// bridge_abort_multipart throws an upload of parts away; an unknown one is no error.
//
//export bridge_abort_multipart
func bridge_abort_multipart(handle C.size_t, key, id *C.char, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		err := s.project.AbortUpload(ctx, s.bucket, C.GoString(key), C.GoString(id))
		if errors.Is(err, uplink.ErrObjectNotFound) || errors.Is(err, uplink.ErrUploadIDInvalid) {
			return nil
		}
		return err
	})
}

// bridge_list_parts hands out the parts: number u32, size i64, etag text16 each.
//
//export bridge_list_parts
func bridge_list_parts(handle C.size_t, key, id *C.char, milliseconds C.int64_t, parts *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		var encoded []byte
		listed := s.project.ListUploadParts(ctx, s.bucket, C.GoString(key), C.GoString(id), nil)
		for listed.Next() {
			encoded = appendPart(encoded, listed.Item())
		}
		if listed.Err() == nil {
			handOut(parts, encoded)
		}
		return listed.Err()
	})
}

// bridge_list_multiparts hands out the uploads of parts under prefix: started in microseconds i64,
// key and id text16 each.
//
//export bridge_list_multiparts
func bridge_list_multiparts(handle C.size_t, prefix *C.char, milliseconds C.int64_t, uploads *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		var encoded []byte
		listed := s.project.ListUploads(ctx, s.bucket, &uplink.ListUploadsOptions{
			Prefix: C.GoString(prefix), Recursive: true, System: true,
		})
		for listed.Next() {
			item := listed.Item()
			if !item.IsPrefix {
				encoded = appendUpload(encoded, item)
			}
		}
		if listed.Err() == nil {
			handOut(uploads, encoded)
		}
		return listed.Err()
	})
}

// part is a part being uploaded.
type part struct {
	transfer
	upload *uplink.PartUpload
}

// bridge_put_part begins a part of an upload.
//
//export bridge_put_part
func bridge_put_part(handle C.size_t, key, id *C.char, number C.uint32_t, milliseconds C.int64_t, begun *C.size_t) (failed *C.UplinkError) {
	defer guard(&failed)
	s, ok := held[*store](handle)
	if !ok {
		return newError(invalidHandle("store"))
	}
	p := &part{transfer: s.newTransfer()}
	failed = p.step(milliseconds, func() (err error) {
		p.upload, err = s.project.UploadPart(p.ctx, s.bucket, C.GoString(key), C.GoString(id), uint32(number))
		return err
	})
	if failed != nil {
		p.stop()
		return failed
	}
	*begun = keep(p)
	return nil
}

// bridge_write appends to a part. After an error the part is lost.
//
//export bridge_write
func bridge_write(handle C.size_t, data *C.uint8_t, size C.size_t, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	p, ok := held[*part](handle)
	if !ok {
		return newError(invalidHandle("part"))
	}
	return p.step(milliseconds, func() error {
		written, err := p.upload.Write(given(data, size))
		if err == nil && written != int(size) {
			return io.ErrShortWrite
		}
		return err
	})
}

// bridge_commit_part ends a part and frees its handle, also when it fails.
//
//export bridge_commit_part
func bridge_commit_part(handle C.size_t, etag *C.uint8_t, size C.size_t, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	p, ok := held[*part](handle)
	if !ok {
		return newError(invalidHandle("part"))
	}
	drop(handle)
	defer p.stop()
	return p.step(milliseconds, func() error {
		if size > 0 {
			if err := p.upload.SetETag(append([]byte(nil), given(etag, size)...)); err != nil {
				return errors.Join(err, p.upload.Abort())
			}
		}
		return p.upload.Commit()
	})
}

// bridge_abort_part throws a part away and frees its handle. It never fails.
//
//export bridge_abort_part
func bridge_abort_part(handle C.size_t) {
	var failed *C.UplinkError
	defer func() { uplink_free_error(failed) }()
	defer guard(&failed)
	if p, ok := held[*part](handle); ok {
		drop(handle)
		p.stop()
		_ = p.upload.Abort() // whatever it says: the context has ended, and the part with it
	}
}
