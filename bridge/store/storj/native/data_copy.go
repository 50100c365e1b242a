package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"crypto/rand"

	"storj.io/common/encryption"
	"storj.io/common/paths"
	"storj.io/common/storj"
	"storj.io/uplink/private/metaclient"
)

// copy copies an object at the satellite: its keys are encrypted anew for the target's path, and
// nothing else is touched. uplink's own function tells no version.
func (s *store) copy(ctx context.Context, source, target string, ifAbsent bool) (made entry, err error) {
	from, err := s.encrypted(source)
	if err != nil {
		return made, err
	}
	to, err := s.encrypted(target)
	if err != nil {
		return made, err
	}
	err = s.satellite(ctx, func(client *metaclient.Client) error {
		begun, err := client.BeginCopyObject(ctx, metaclient.BeginCopyObjectParams{
			Bucket: []byte(s.bucket), EncryptedObjectKey: from,
			NewBucket: []byte(s.bucket), NewEncryptedObjectKey: to,
		})
		if err != nil {
			return err
		}
		params := metaclient.FinishCopyObjectParams{
			StreamID: begun.StreamID, NewBucket: []byte(s.bucket), NewEncryptedObjectKey: to,
		}
		if ifAbsent {
			params.IfNoneMatch = anyVersion
		}
		if err = s.rekey(source, target, begun, &params); err != nil {
			return err
		}
		finished, err := client.FinishCopyObject(ctx, params)
		if err != nil {
			return err
		}
		made = s.entryOf(ctx, target, finished.Info)
		return nil
	})
	return made, err
}

// rekey encrypts the keys of metadata and segments for another path.
func (s *store) rekey(source, target string, begun metaclient.BeginCopyObjectResponse, params *metaclient.FinishCopyObjectParams) error {
	oldKey, err := encryption.DeriveContentKey(s.bucket, paths.NewUnencrypted(source), s.keys())
	if err != nil {
		return err
	}
	newKey, err := encryption.DeriveContentKey(s.bucket, paths.NewUnencrypted(target), s.keys())
	if err != nil {
		return err
	}
	cipher := encryptionParameters.CipherSuite
	if len(begun.EncryptedMetadataKey) > 0 {
		nonce := begun.EncryptedMetadataKeyNonce
		opened, err := encryption.DecryptKey(begun.EncryptedMetadataKey, cipher, oldKey, &nonce)
		if err != nil {
			return err
		}
		sealed, err := encryption.EncryptKey(opened, cipher, newKey, &nonce)
		if err != nil {
			return err
		}
		params.NewEncryptedUserData.EncryptedMetadataEncryptedKey = sealed
		params.NewEncryptedUserData.EncryptedMetadataNonce = nonce
	}
	for _, segment := range begun.SegmentKeys {
		opened, err := encryption.DecryptKey(segment.EncryptedKey, cipher, oldKey, &segment.EncryptedKeyNonce)
		if err != nil {
			return err
		}
		var nonce storj.Nonce
		if _, err = rand.Read(nonce[:]); err != nil {
			return err
		}
		sealed, err := encryption.EncryptKey(opened, cipher, newKey, &nonce)
		if err != nil {
			return err
		}
		params.NewSegmentKeys = append(params.NewSegmentKeys, metaclient.EncryptedKeyAndNonce{
			Position: segment.Position, EncryptedKeyNonce: nonce, EncryptedKey: sealed,
		})
	}
	return nil
}

// bridge_copy copies an object and hands out the copy's entry.
//
//export bridge_copy
func bridge_copy(handle C.size_t, source, target *C.char, ifAbsent C.bool, milliseconds C.int64_t, made *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		copied, err := s.copy(ctx, C.GoString(source), C.GoString(target), bool(ifAbsent))
		if err == nil {
			handOut(made, copied.append(nil))
		}
		return err
	})
}
