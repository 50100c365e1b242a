package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"storj.io/common/base58"
	"storj.io/common/encryption"
	"storj.io/common/paths"
	"storj.io/common/pb"
	"storj.io/common/storj"
	"storj.io/uplink"
	"storj.io/uplink/private/metaclient"
)

// uploads are the multipart uploads that this process knows, by key and id.
//
// The satellite signs its name of an upload anew each time it tells it, so that uplink's upload id,
// which is that name, is never the same twice. Here the id is the stream's own, within the name;
// the name it is asked by is remembered, or looked up.
type uploads struct {
	sync.Mutex
	names map[upload]storj.StreamID
}

type upload struct{ key, id string }

// uploadsKnown bounds what is remembered; what is forgotten costs one request.
const uploadsKnown = 10_000

var errNoUpload = coded{C.BRIDGE_ERROR_UPLOAD_NOT_FOUND, errors.New("no such upload")}

func (u *uploads) learn(key string, name storj.StreamID) (id string, err error) {
	if id, err = streamID(name); err != nil {
		return "", err
	}
	u.Lock()
	defer u.Unlock()
	for known := range u.names {
		if len(u.names) < uploadsKnown {
			break
		}
		delete(u.names, known)
	}
	u.names[upload{key, id}] = name
	return id, nil
}

func (u *uploads) forget(key, id string) {
	u.Lock()
	defer u.Unlock()
	delete(u.names, upload{key, id})
}

// known returns the satellite's name of an upload, empty if it is not remembered.
func (u *uploads) known(key, id string) storj.StreamID {
	u.Lock()
	defer u.Unlock()
	return u.names[upload{key, id}]
}

// find returns the satellite's name of an upload.
func (u *uploads) find(ctx context.Context, s *store, key, id string) (storj.StreamID, error) {
	name := u.known(key, id)
	if !name.IsZero() {
		return name, nil
	}
	path, err := s.encrypted(key)
	if err != nil {
		return nil, err
	}
	err = s.satellite(ctx, func(client *metaclient.Client) error {
		params := metaclient.ListPendingObjectStreamsParams{Bucket: []byte(s.bucket), EncryptedObjectKey: path}
		for {
			listed, err := client.ListPendingObjectStreams(ctx, params)
			if err != nil {
				return err
			}
			for _, item := range listed.Items {
				found, err := u.learn(key, item.StreamID)
				if err != nil {
					return err
				}
				if found == id {
					name = item.StreamID
					return nil
				}
				params.EncryptedCursor = item.StreamID
			}
			if !listed.More || len(listed.Items) == 0 {
				return errNoUpload
			}
		}
	})
	return name, err
}

// streamIDField is the number of the stream's own id in the name that the satellite gives it
// (satellite/internalpb, StreamID.stream_id).
const streamIDField = 10

// streamID reads the stream's own id, in hexadecimal, from the satellite's name of it.
func streamID(name storj.StreamID) (string, error) {
	for left := []byte(name); len(left) > 0; {
		tag, size := binary.Uvarint(left)
		if size <= 0 {
			break
		}
		left = left[size:]
		value, size := binary.Uvarint(left)
		if size <= 0 {
			break
		}
		left = left[size:]
		if tag&7 == 0 { // a number
			continue
		}
		if tag&7 != 2 || value > uint64(len(left)) {
			break
		}
		if tag>>3 == streamIDField && value == 16 {
			return hex.EncodeToString(left[:16]), nil
		}
		left = left[value:]
	}
	return "", errors.New("the satellite names an upload in an unknown form")
}

// uplinkID is the upload id by which uplink's own functions go.
func uplinkID(name storj.StreamID) string { return base58.CheckEncode(name, 1) }

func (s *store) createMultipart(ctx context.Context, key string) (id string, err error) {
	path, err := s.encrypted(key)
	if err != nil {
		return "", err
	}
	err = s.satellite(ctx, func(client *metaclient.Client) error {
		begun, err := client.BeginObject(ctx, metaclient.BeginObjectParams{
			Bucket: []byte(s.bucket), EncryptedObjectKey: path, EncryptionParameters: encryptionParameters,
		})
		if err != nil {
			return err
		}
		id, err = s.uploads.learn(key, begun.StreamID)
		return err
	})
	return id, err
}

// complete publishes an upload of parts. uplink's own function tells no version.
func (s *store) complete(ctx context.Context, key, id string, metadata map[string]string, ifAbsent bool) (made entry, err error) {
	remembered := !s.uploads.known(key, id).IsZero()
	stream, err := s.uploads.find(ctx, s, key, id)
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
		made = s.entryOf(ctx, key, committed.Object)
		return nil
	})
	if err == nil {
		s.uploads.forget(key, id)
		return made, nil
	}
	code := codeOf(err)
	gone := code == C.UPLINK_ERROR_OBJECT_NOT_FOUND
	if remembered && (gone || code == C.BRIDGE_ERROR_OBJECT_EXISTS) {
		// Nobody here knows of the upload's end. It may have been a question whose answer was lost:
		// ours of before, or uplink's, which asks again when a connection breaks.
		found, looking := s.stat(ctx, key)
		if looking == nil && found.version != "" && strings.HasSuffix(id, found.version) {
			s.uploads.forget(key, id)
			return found, nil
		}
		if looking != nil {
			switch codeOf(looking) {
			case C.UPLINK_ERROR_OBJECT_NOT_FOUND: // it was aborted
			case C.UPLINK_ERROR_PERMISSION_DENIED: // this grant cannot tell; whoever can may look
			default:
				return made, looking // unclear: who asks again looks again
			}
		}
	}
	if gone {
		s.uploads.forget(key, id)
		err = errNoUpload
	}
	return made, err
}

// abort forgets an upload; an unknown one is no error.
func (s *store) abort(ctx context.Context, key, id string) error {
	stream, err := s.uploads.find(ctx, s, key, id)
	if errors.Is(err, errNoUpload) {
		return nil
	}
	if err != nil {
		return err
	}
	project, err := s.project()
	if err != nil {
		return err
	}
	s.uploads.forget(key, id)
	err = project.AbortUpload(ctx, s.bucket, key, uplinkID(stream))
	if errors.Is(err, uplink.ErrObjectNotFound) {
		return nil
	}
	return err
}

// pending lists the uploads in progress under prefix.
func (s *store) pending(ctx context.Context, prefix string, each func(key, id string, item metaclient.RawObjectListItem)) error {
	info, err := encryption.GetPrefixInfo(s.bucket, paths.NewUnencrypted(prefix), s.keys())
	if err != nil {
		return err
	}
	params := metaclient.ListObjectsParams{
		Bucket: []byte(s.bucket), Delimiter: []byte("/"), EncryptedPrefix: []byte(info.ParentEnc.Raw()),
		Recursive: true, Status: int32(pb.Object_UPLOADING), IncludeSystemMetadata: true,
	}
	return s.satellite(ctx, func(client *metaclient.Client) error {
		for {
			items, more, err := client.ListObjects(ctx, params)
			if err != nil {
				return err
			}
			for _, item := range items {
				params.EncryptedCursor, params.VersionCursor = item.EncryptedObjectKey, item.Version
				name, ours := nameOf(item.EncryptedObjectKey, info)
				if !ours {
					continue
				}
				id, err := s.uploads.learn(prefix+name, item.StreamID)
				if err != nil {
					return err
				}
				each(prefix+name, id, item)
			}
			if !more || len(items) == 0 {
				return nil
			}
		}
	})
}

// bridge_create_multipart begins an upload of parts and hands out its id.
//
//export bridge_create_multipart
func bridge_create_multipart(handle C.size_t, key *C.char, milliseconds C.int64_t, id *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		begun, err := s.createMultipart(ctx, C.GoString(key))
		if err == nil {
			handOut(id, []byte(begun))
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

// bridge_abort_multipart throws an upload of parts away; an unknown one is no error.
//
//export bridge_abort_multipart
func bridge_abort_multipart(handle C.size_t, key, id *C.char, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		return s.abort(ctx, C.GoString(key), C.GoString(id))
	})
}

// bridge_list_parts hands out the parts: number u32, size i64, etag text16 each.
//
//export bridge_list_parts
func bridge_list_parts(handle C.size_t, key, id *C.char, milliseconds C.int64_t, parts *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		key, id := C.GoString(key), C.GoString(id)
		stream, err := s.uploads.find(ctx, s, key, id)
		if err != nil {
			return err
		}
		project, err := s.project()
		if err != nil {
			return err
		}
		var encoded []byte
		listed := project.ListUploadParts(ctx, s.bucket, key, uplinkID(stream), nil)
		for listed.Next() {
			encoded = appendPart(encoded, listed.Item())
		}
		if listed.Err() != nil {
			return listed.Err()
		}
		if len(encoded) == 0 {
			// Of an upload that somebody else has ended, too, the satellite lists no parts.
			s.uploads.forget(key, id)
			if _, err = s.uploads.find(ctx, s, key, id); err != nil {
				return err
			}
		}
		handOut(parts, encoded)
		return nil
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
		err := s.pending(ctx, C.GoString(prefix), func(key, id string, item metaclient.RawObjectListItem) {
			encoded = binary.LittleEndian.AppendUint64(encoded, uint64(item.CreatedAt.UnixMicro()))
			encoded = appendText(appendText(encoded, key), id)
		})
		if err == nil {
			handOut(uploads, encoded)
		}
		return err
	})
}
