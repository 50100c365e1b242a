package main

// #include "uplink.h"
import "C"

import (
	"errors"
	"strings"
	"time"
	"unsafe"

	"storj.io/common/encryption"
	"storj.io/common/grant"
	"storj.io/common/paths"
	"storj.io/uplink"
)

// encryptionKey is a key that C holds.
type encryptionKey struct{ *uplink.EncryptionKey }

// uplink_access_share cuts a narrower grant from one: fewer permissions, a shorter time, and,
// where prefixes are given, these only. Nothing is sent. A prefix means a whole folder, with
// or without its slash.
//
//export uplink_access_share
func uplink_access_share(
	access *C.UplinkAccess, permission C.UplinkPermission, prefixes *C.UplinkSharePrefix, count C.size_t,
) (result C.UplinkAccessResult) {
	defer guard(&result.error)
	acc, err := heldAccess(access)
	if err != nil {
		return newAccessResult(nil, err)
	}
	if prefixes == nil && count > 0 {
		return newAccessResult(nil, invalidArgument("no prefixes at NULL"))
	}
	var shared []uplink.SharePrefix
	for _, prefix := range unsafe.Slice(prefixes, int(count)) {
		shared = append(shared, uplink.SharePrefix{
			Bucket: C.GoString(prefix.bucket), Prefix: C.GoString(prefix.prefix),
		})
	}
	acc.RLock()
	defer acc.RUnlock()
	narrower, err := acc.Share(uplink.Permission{
		AllowDownload: bool(permission.allow_download),
		AllowUpload:   bool(permission.allow_upload),
		AllowList:     bool(permission.allow_list),
		AllowDelete:   bool(permission.allow_delete),
		NotBefore:     fromUnix(permission.not_before),
		NotAfter:      fromUnix(permission.not_after),
	}, shared...)
	return newAccessResult(narrower, asArgument(err))
}

// asArgument says that an error uplink gives no type is about what was asked for, as it is
// where nothing is sent.
func asArgument(err error) error {
	if err != nil && codeOf(err) == C.UPLINK_ERROR_INTERNAL {
		return coded{C.BRIDGE_ERROR_ARGUMENT_INVALID, err}
	}
	return err
}

// fromUnix returns the time of so many seconds; 0 is none.
func fromUnix(seconds C.int64_t) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// uplink_derive_encryption_key makes a key from a passphrase and a salt (Argon2id, 64 MiB).
//
//export uplink_derive_encryption_key
func uplink_derive_encryption_key(
	passphrase *C.uplink_const_char, salt unsafe.Pointer, length C.size_t,
) (result C.UplinkEncryptionKeyResult) {
	defer guard(&result.error)
	if salt == nil && length > 0 {
		result.error = newError(invalidArgument("no salt at NULL"))
		return result
	}
	key, err := uplink.DeriveEncryptionKey(C.GoString(passphrase), unsafe.Slice((*byte)(salt), int(length)))
	if err != nil {
		result.error = newError(err)
		return result
	}
	result.encryption_key = (*C.UplinkEncryptionKey)(C.calloc(1, C.sizeof_UplinkEncryptionKey))
	result.encryption_key._handle = keep(&encryptionKey{key})
	return result
}

// uplink_access_override_encryption_key puts a key over a prefix of a grant that no project
// was opened with yet. The prefix ends with a slash.
//
//export uplink_access_override_encryption_key
func uplink_access_override_encryption_key(
	access *C.UplinkAccess, bucket, prefix *C.uplink_const_char, key *C.UplinkEncryptionKey,
) (failure *C.UplinkError) {
	defer guard(&failure)
	acc, err := heldAccess(access)
	if err != nil {
		return newError(err)
	}
	var taken *encryptionKey
	if key != nil {
		taken, _ = held[*encryptionKey](key._handle)
	}
	if taken == nil {
		return newError(invalidHandle("encryption key"))
	}
	acc.Lock()
	defer acc.Unlock()
	if acc.opened {
		return newError(invalidArgument("a project is open with this grant: its keys stay as they are"))
	}
	return newError(asArgument(acc.OverrideEncryptionKey(C.GoString(bucket), C.GoString(prefix), taken.EncryptionKey)))
}

// bridge_access_with_key_of returns a grant as it is, but with the key that another one has for a
// prefix put over that prefix. The prefix ends with a slash. Nothing is sent.
//
//export bridge_access_with_key_of
func bridge_access_with_key_of(
	access, other *C.UplinkAccess, bucket, prefix *C.uplink_const_char,
) (result C.UplinkAccessResult) {
	defer guard(&result.error)
	into, err := heldParts(access)
	from, invalid := heldParts(other)
	if err = errors.Join(err, invalid); err != nil {
		return newAccessResult(nil, err)
	}
	if err = takeKey(into, from, C.GoString(bucket), C.GoString(prefix)); err != nil {
		return newAccessResult(nil, asArgument(err))
	}
	text, err := into.Serialize()
	if err != nil {
		return newAccessResult(nil, err)
	}
	return newAccessResult(parseAccess(text))
}

// heldParts returns a copy of what the grant consists of that pointer stands for: uplink keeps the
// parts to itself.
func heldParts(pointer *C.UplinkAccess) (*grant.Access, error) {
	acc, err := heldAccess(pointer)
	if err != nil {
		return nil, err
	}
	acc.RLock()
	defer acc.RUnlock()
	text, err := acc.Serialize()
	if err != nil {
		return nil, err
	}
	return grant.ParseAccess(text)
}

// takeKey is uplink's OverrideEncryptionKey with the key that another grant has there.
func takeKey(to, from *grant.Access, bucket, prefix string) error {
	folder, slash := strings.CutSuffix(prefix, "/")
	if !slash {
		return invalidArgument("a prefix without a slash at its end")
	}
	path := paths.NewUnencrypted(folder)
	key, err := encryption.DerivePathKey(bucket, path, from.EncAccess.Store)
	if err != nil {
		return err
	}
	encrypted, err := encryption.EncryptPathWithStoreCipher(bucket, path, to.EncAccess.Store)
	if err != nil {
		return err
	}
	return to.EncAccess.Store.Add(bucket, path, encrypted, *key)
}

// uplink_free_encryption_key_result frees a result and the key in it.
//
//export uplink_free_encryption_key_result
func uplink_free_encryption_key_result(result C.UplinkEncryptionKeyResult) {
	uplink_free_error(result.error)
	if result.encryption_key != nil {
		drop(result.encryption_key._handle)
		C.free(unsafe.Pointer(result.encryption_key))
	}
}

// uplink_revoke_access makes a grant cut from the project's own worthless, and those cut from
// it. The satellite may take a while to notice everywhere.
//
//export uplink_revoke_access
func uplink_revoke_access(project *C.UplinkProject, access *C.UplinkAccess) (failure *C.UplinkError) {
	defer guard(&failure)
	p, err := heldProject(project)
	acc, invalid := heldAccess(access)
	if err = errors.Join(err, invalid); err != nil {
		return newError(err)
	}
	ctx, cancel := p.within(callLimit)
	defer cancel()
	return newErrorIn(ctx, p.RevokeAccess(ctx, acc.Access))
}
