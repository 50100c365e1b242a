package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"storj.io/common/encryption"
	"storj.io/common/paths"
	"storj.io/common/pb"
	"storj.io/common/storj"
	"storj.io/uplink"
	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/object"
)

// errChanged says that the version named is no longer the object's.
var errChanged = coded{C.BRIDGE_ERROR_OBJECT_CHANGED, errors.New("the object has another version by now")}

// versionOf names the content of an object: the satellite's version id is a number, which a move
// changes, and half of the random stream id, which stays with the content.
func versionOf(id []byte) string {
	if len(id) != 16 {
		return ""
	}
	return hex.EncodeToString(id[8:])
}

// entryOf describes an object as the satellite sent it. Nothing is asked of anybody: what fails is
// the metadata's own fault, which do not decrypt or are no metadata.
func (s *store) entryOf(ctx context.Context, key string, raw metaclient.RawObjectItem) entry {
	described := entry{
		kind: anObject, key: key, size: raw.PlainSize, modified: raw.Created,
		version: versionOf(raw.Version),
	}
	raw.Bucket = s.bucket // what is empty is taken for no object
	db := metaclient.New(nil, encryptionParameters, s.keys())
	opened, err := db.ObjectFromRawObjectItem(ctx, s.bucket, key, raw)
	if err != nil {
		described.kind = aDamagedObject
		return described
	}
	described.metadata = opened.Metadata
	if described.size == 0 {
		described.size = opened.Size
	}
	return described
}

func (s *store) encrypted(key string) ([]byte, error) {
	path, err := encryption.EncryptPathWithStoreCipher(s.bucket, paths.NewUnencrypted(key), s.keys())
	return []byte(path.Raw()), err
}

func (s *store) lookUp(ctx context.Context, client *metaclient.Client, key string) (metaclient.RawObjectItem, error) {
	path, err := s.encrypted(key)
	if err != nil {
		return metaclient.RawObjectItem{}, err
	}
	return client.GetObject(ctx, metaclient.GetObjectParams{
		Bucket: []byte(s.bucket), EncryptedObjectKey: path, RedundancySchemePerSegment: true,
	})
}

func (s *store) stat(ctx context.Context, key string) (described entry, err error) {
	err = s.satellite(ctx, func(client *metaclient.Client) error {
		raw, err := s.lookUp(ctx, client, key)
		if err != nil {
			return err
		}
		described = s.entryOf(ctx, key, raw)
		return nil
	})
	return described, err
}

// setMetadata replaces the metadata of one version of an object. uplink's own function takes
// whatever version there is.
func (s *store) setMetadata(ctx context.Context, key string, metadata map[string]string, version string) error {
	return s.satellite(ctx, func(client *metaclient.Client) error {
		raw, err := s.lookUp(ctx, client, key)
		if err != nil {
			return err
		}
		if versionOf(raw.Version) != version {
			return errChanged
		}
		path, err := s.encrypted(key)
		if err != nil {
			return err
		}
		sealed, err := s.sealMetadata(key, metadata)
		if err != nil {
			return err
		}
		err = client.UpdateObjectMetadata(ctx, metaclient.UpdateObjectMetadataParams{
			Bucket: []byte(s.bucket), EncryptedObjectKey: path,
			StreamID: raw.StreamID, EncryptedUserData: sealed,
		})
		if err != nil && codeOf(err) == C.UPLINK_ERROR_OBJECT_NOT_FOUND {
			return errChanged // it was there just now: what is missing is that very version
		}
		return err
	})
}

// sealMetadata encrypts metadata as uplink does: under a random key, which is encrypted under
// the key of the object's path.
func (s *store) sealMetadata(key string, metadata map[string]string) (sealed metaclient.EncryptedUserData, err error) {
	if len(metadata) == 0 {
		return sealed, nil // an empty ciphertext with a key is refused
	}
	userDefined, err := pb.Marshal(&pb.SerializableMeta{UserDefined: metadata})
	if err != nil {
		return sealed, err
	}
	stream, err := pb.Marshal(&pb.StreamInfo{Metadata: userDefined})
	if err != nil {
		return sealed, err
	}
	pathKey, err := encryption.DeriveContentKey(s.bucket, paths.NewUnencrypted(key), s.keys())
	if err != nil {
		return sealed, err
	}
	var fresh storj.Key
	if _, err = rand.Read(fresh[:]); err != nil {
		return sealed, err
	}
	if _, err = rand.Read(sealed.EncryptedMetadataNonce[:]); err != nil {
		return sealed, err
	}
	cipher := encryptionParameters.CipherSuite
	encryptedKey, err := encryption.EncryptKey(&fresh, cipher, pathKey, &sealed.EncryptedMetadataNonce)
	if err != nil {
		return sealed, err
	}
	sealed.EncryptedMetadataEncryptedKey = encryptedKey
	encryptedStream, err := encryption.Encrypt(stream, cipher, &fresh, &storj.Nonce{})
	if err != nil {
		return sealed, err
	}
	sealed.EncryptedMetadata, err = pb.Marshal(&pb.StreamMeta{EncryptedStreamInfo: encryptedStream})
	return sealed, err
}

// bridge_stat hands out one entry.
//
//export bridge_stat
func bridge_stat(handle C.size_t, key *C.char, milliseconds C.int64_t, found *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		described, err := s.stat(ctx, C.GoString(key))
		if err == nil {
			handOut(found, described.append(nil))
		}
		return err
	})
}

// bridge_set_metadata replaces an object's metadata, if version is still its version.
//
//export bridge_set_metadata
func bridge_set_metadata(handle C.size_t, key *C.char, metadata *C.uint8_t, size C.size_t, version *C.char, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		pairs, err := takeMetadata(given(metadata, size))
		if err != nil {
			return err
		}
		return s.setMetadata(ctx, C.GoString(key), pairs, C.GoString(version))
	})
}

// bridge_move renames an object; what was at the target is gone.
//
//export bridge_move
func bridge_move(handle C.size_t, source, target *C.char, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		project, err := s.project()
		if err != nil {
			return err
		}
		return project.MoveObject(ctx, s.bucket, C.GoString(source), s.bucket, C.GoString(target), nil)
	})
}

// anyVersion as a condition "none match" is: only if nothing is there.
var anyVersion = []string{"*"}

// bridge_delete removes objects; missing ones are no error. keys: texts, one after the other.
//
//export bridge_delete
func bridge_delete(handle C.size_t, keys *C.uint8_t, size C.size_t, milliseconds C.int64_t) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		var items []object.DeleteObjectsItem
		for left := given(keys, size); len(left) > 0; {
			key, rest, err := takeText(left)
			if err != nil {
				return err
			}
			items, left = append(items, object.DeleteObjectsItem{ObjectKey: key}), rest
		}
		return s.delete(ctx, items)
	})
}

// deleteAtOnce is the satellite's own limit.
const deleteAtOnce = 1000

func (s *store) delete(ctx context.Context, items []object.DeleteObjectsItem) error {
	project, err := s.project()
	if err != nil {
		return err
	}
	for len(items) > 0 {
		some := items[:min(len(items), deleteAtOnce)]
		items = items[len(some):]
		if len(some) == 1 {
			_, err := project.DeleteObject(ctx, s.bucket, some[0].ObjectKey)
			if err != nil && !errors.Is(err, uplink.ErrObjectNotFound) {
				return err
			}
			continue
		}
		results, err := object.DeleteObjects(ctx, project, s.bucket, some, &object.DeleteObjectsOptions{Quiet: true})
		if err != nil {
			return err
		}
		for _, result := range results {
			switch result.Status {
			case storj.DeleteObjectsStatusOK, storj.DeleteObjectsStatusNotFound:
			case storj.DeleteObjectsStatusUnauthorized:
				return uplink.ErrPermissionDenied
			default:
				return errors.New("the satellite did not delete an object")
			}
		}
	}
	return nil
}

func withStore(handle C.size_t, milliseconds C.int64_t, call func(context.Context, *store) error) *C.UplinkError {
	s, ok := held[*store](handle)
	if !ok {
		return newError(invalidHandle("store"))
	}
	ctx, cancel := s.within(milliseconds)
	defer cancel()
	return newErrorIn(ctx, s.missing(ctx, call(ctx, s)))
}
