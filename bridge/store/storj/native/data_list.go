package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"strings"
	"unicode/utf8"

	"storj.io/common/encryption"
	"storj.io/common/paths"
	"storj.io/uplink/private/metaclient"
)

// page is one answer of the satellite: the entries, and where the next one goes on.
type page struct {
	entries []entry
	cursor  []byte
	more    bool
}

// list asks for one page of what lies under prefix, which is empty or ends in a slash.
//
// uplink's own listing leaves out what does not decrypt. Here an object whose metadata does not
// is an entry all the same; one whose key does not belongs to other keys, and has no name.
func (s *store) list(ctx context.Context, prefix string, recursive bool, cursor []byte, limit int) (found page, err error) {
	info, err := encryption.GetPrefixInfo(s.bucket, paths.NewUnencrypted(prefix), s.keys())
	if err != nil {
		return found, err
	}
	err = s.satellite(ctx, func(client *metaclient.Client) error {
		items, more, err := client.ListObjects(ctx, metaclient.ListObjectsParams{
			Bucket:          []byte(s.bucket),
			Delimiter:       []byte("/"),
			EncryptedPrefix: []byte(info.ParentEnc.Raw()),
			EncryptedCursor: cursor,
			Limit:           int32(limit),
			Recursive:       recursive,

			IncludeCustomMetadata: true,
			IncludeSystemMetadata: true,
			// The satellite names versions only where it lists all of them.
			IncludeAllVersions: true,
		})
		if err != nil {
			return err
		}
		found.more = more && len(items) > 0
		for _, item := range items {
			found.cursor = item.EncryptedObjectKey
			if !item.IsPrefix && !item.IsLatest || item.IsDeleteMarker() {
				continue // a bucket that somebody has turned versioning on for
			}
			name, ours := nameOf(item.EncryptedObjectKey, info)
			if !ours {
				continue
			}
			if item.IsPrefix {
				found.entries = append(found.entries, entry{kind: aPrefix, key: prefix + strings.TrimSuffix(name, "/") + "/"})
				continue
			}
			found.entries = append(found.entries, s.entryOf(ctx, prefix+name, metaclient.RawObjectItem{
				EncryptedObjectKey: item.EncryptedObjectKey,
				Version:            item.Version,
				StreamID:           item.StreamID,
				Status:             item.Status,
				Created:            item.CreatedAt,
				PlainSize:          item.PlainSize,
				EncryptedUserData:  item.EncryptedUserData,
			}))
		}
		return nil
	})
	return found, err
}

// nameOf is a name under a prefix, and whether it is one of ours: other keys, or other programs,
// make what does not decrypt, or to nothing that a key may be.
func nameOf(raw []byte, info *encryption.PrefixInfo) (string, bool) {
	name, err := encryption.DecryptPathRaw(string(raw), info.Cipher, &info.ParentKey)
	return name, err == nil && name != "" && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// cursorAfter is where a listing goes on after key, a key under prefix.
func (s *store) cursorAfter(prefix, key string) ([]byte, error) {
	info, err := encryption.GetPrefixInfo(s.bucket, paths.NewUnencrypted(prefix), s.keys())
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(key, prefix)
	raw, err := encryption.EncryptPathRaw(strings.TrimSuffix(name, "/"), info.Cipher, &info.ParentKey)
	if strings.HasSuffix(name, "/") {
		raw += "/" // what the satellite calls a common prefix
	}
	return []byte(raw), err
}

// bridge_list hands out one page of entries, and the cursor of the next one (empty: the last).
//
//export bridge_list
func bridge_list(handle C.size_t, prefix *C.char, recursive C.bool, cursor *C.uint8_t, cursorSize C.size_t, limit C.int32_t, milliseconds C.int64_t, entries, next *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	return withStore(handle, milliseconds, func(ctx context.Context, s *store) error {
		found, err := s.list(ctx, C.GoString(prefix), bool(recursive), given(cursor, cursorSize), int(limit))
		if err != nil {
			return err
		}
		var encoded []byte
		for _, described := range found.entries {
			encoded = described.append(encoded)
		}
		handOut(entries, encoded)
		if found.more {
			handOut(next, found.cursor)
		}
		return nil
	})
}

// bridge_cursor hands out the cursor of a listing that goes on after key. It asks nobody.
//
//export bridge_cursor
func bridge_cursor(handle C.size_t, prefix, key *C.char, cursor *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	s, ok := held[*store](handle)
	if !ok {
		return newError(invalidHandle("store"))
	}
	after, err := s.cursorAfter(C.GoString(prefix), C.GoString(key))
	if err == nil {
		handOut(cursor, after)
	}
	return newError(err)
}
