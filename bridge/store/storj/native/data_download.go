package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"errors"
	"io"
	"math"
	"strings"

	"storj.io/common/encryption"
	"storj.io/common/paths"
	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/storage/streams"
	"storj.io/uplink/private/stream"
)

// download is a range of an object being read.
type download struct {
	transfer
	store   *store
	key     string
	version string
	streams *streams.Store
	content io.ReadCloser
	// left is how many bytes of the range are not read yet, and taken how many are.
	left, taken int64
	// broken is why reading failed: what was read by then is not given out, so that nothing may
	// follow it.
	broken error
}

// bridge_get opens length bytes from offset (all the rest when negative) and hands out the entry.
//
//export bridge_get
func bridge_get(handle C.size_t, key *C.char, offset, length, milliseconds C.int64_t, begun *C.size_t, found *C.BridgeBytes) (failed *C.UplinkError) {
	defer guard(&failed)
	s, ok := held[*store](handle)
	if !ok {
		return newError(invalidHandle("store"))
	}
	d := &download{transfer: s.newTransfer(), store: s, key: C.GoString(key)}
	var info entry
	failed = d.step(milliseconds, func() (err error) {
		for range openTries {
			if info, err = d.open(s, d.key, int64(offset), int64(length)); !errors.Is(err, errReplaced) {
				break
			}
			_ = d.streams.Close() // the next try has its own
		}
		return s.missing(d.ctx, err)
	})
	if failed != nil {
		d.close()
		return failed
	}
	d.version = info.version
	handOut(found, info.append(nil))
	*begun = keep(d)
	return nil
}

// errReplaced says that the object was replaced, removed or moved between two looks of the
// satellite's: it told of one whose segments were gone, or sealed for another key already.
var errReplaced = errors.New("the object was replaced or moved while it was opened")

var errNegativeOffset = errors.New("a range begins before the object does")

// openTries is how often an object that is replaced again and again is tried to be opened.
const openTries = 5

// open asks the satellite for the object and its first segments. uplink's own function tells no
// version, and fails where the metadata does not decrypt.
func (d *download) open(s *store, key string, offset, length int64) (described entry, err error) {
	d.left = 0 // of an earlier try
	if offset < 0 {
		return described, errNegativeOffset
	}
	if length > math.MaxInt64-offset {
		length = -1
	}
	path, err := s.encrypted(key)
	if err != nil {
		return described, err
	}
	wanted, err := metaclient.NewStreamRange(offset, length)
	if err != nil {
		return described, err
	}
	client, err := s.dial(d.ctx)
	if err != nil {
		return described, err
	}
	if d.streams, err = streams.NewStreamStore(client, s.nodes, segmentSize, s.keys(), encryptionParameters, inlineSize); err != nil {
		return described, errors.Join(err, client.Close())
	}
	answer, err := client.DownloadObject(d.ctx, metaclient.DownloadObjectParams{
		Bucket: []byte(s.bucket), EncryptedObjectKey: path, Range: wanted,
	})
	if err != nil && strings.Contains(err.Error(), "invalid range") {
		// It begins at or after the end: there is an object, and nothing to read.
		raw, err := s.lookUp(d.ctx, client, key)
		if err != nil {
			return described, err
		}
		return s.entryOf(d.ctx, key, raw), nil
	}
	if err != nil {
		return described, err
	}
	described = s.entryOf(d.ctx, key, answer.Object)
	if err = s.opens(key, answer.DownloadedSegments); err != nil {
		return described, errors.Join(errReplaced, err)
	}
	wanted = wanted.Normalize(described.size)
	segments := answer.ListSegments
	for segments.More && len(segments.Items) > 0 {
		more, err := client.ListSegments(d.ctx, metaclient.ListSegmentsParams{
			StreamID: answer.Object.StreamID, Range: wanted,
			Cursor: segments.Items[len(segments.Items)-1].Position,
		})
		if err != nil {
			return described, err
		}
		segments.Items = append(segments.Items, more.Items...)
		segments.More = more.More
	}
	d.left = max(0, wanted.Limit-wanted.Start)
	if d.left > 0 && len(segments.Items) == 0 {
		return described, errReplaced
	}
	info := metaclient.DownloadInfo{
		Object: metaclient.Object{
			Bucket: metaclient.Bucket{Name: s.bucket}, Path: key,
			Stream: metaclient.Stream{
				ID: answer.Object.StreamID, Size: described.size,
				EncryptionParameters: answer.Object.EncryptionParameters,
				RedundancyScheme:     answer.Object.RedundancyScheme,
			},
		},
		EncPath:            paths.NewEncrypted(string(path)),
		DownloadedSegments: answer.DownloadedSegments,
		ListSegments:       segments,
		Range:              wanted,
	}
	if d.left < spansFrom {
		d.content = stream.NewDownloadRange(d.ctx, info, d.streams, wanted.Start, d.left)
	} else {
		d.content = newAheadReader(d.ctx, info, d.streams, wanted.Start, d.left)
	}
	return described, nil
}

// opens tells whether the keys of segments are sealed for key.
func (s *store) opens(key string, segments []metaclient.DownloadSegmentWithRSResponse) error {
	contentKey, err := encryption.DeriveContentKey(s.bucket, paths.NewUnencrypted(key), s.keys())
	if err != nil {
		return err
	}
	for _, segment := range segments {
		sealed := segment.Info.SegmentEncryption
		if _, err = encryption.DecryptKey(sealed.EncryptedKey, encryptionParameters.CipherSuite, contentKey, &sealed.EncryptedKeyNonce); err != nil {
			return err
		}
	}
	return nil
}

// explained is why a read failed: what does not decrypt any more may have been moved meanwhile,
// which seals the keys of all segments anew.
func (d *download) explained(err error) error {
	if !encryption.ErrDecryptFailed.Has(err) {
		return err
	}
	now, failed := d.store.stat(d.ctx, d.key)
	if failed == nil && now.version != d.version {
		return errChanged
	}
	if failed != nil && codeOf(failed) == C.UPLINK_ERROR_OBJECT_NOT_FOUND {
		return errChanged
	}
	return err
}

func (d *download) close() {
	d.stop()
	if d.content != nil {
		_ = d.content.Close() // what was read was read; nothing is left to fail
	}
	if d.streams != nil {
		_ = d.streams.Close()
	}
	transferred(d.taken)
}

// bridge_read fills data, or as much of it as there is before the end.
//
//export bridge_read
func bridge_read(handle C.size_t, data *C.uint8_t, size C.size_t, milliseconds C.int64_t, count *C.size_t) (failed *C.UplinkError) {
	defer guard(&failed)
	d, ok := held[*download](handle)
	if !ok {
		return newError(invalidHandle("download"))
	}
	return d.step(milliseconds, func() error {
		read, err := d.fill(given(data, size))
		*count = C.size_t(read)
		return d.explained(err)
	})
}

// fill reads until buffer is full or the range has been read. An end that comes earlier is an
// error: io.ReadFull could not tell it from a connection that broke.
func (d *download) fill(buffer []byte) (read int, err error) {
	if d.broken != nil {
		return 0, d.broken
	}
	for read < len(buffer) && d.left > 0 {
		count, err := d.content.Read(buffer[read:])
		read += count
		d.left -= int64(count)
		d.taken += int64(count)
		if err != nil && (err != io.EOF || d.left > 0) {
			d.broken = err
			return read, err
		}
	}
	return read, nil
}

// bridge_close_download ends a download and frees its handle.
//
//export bridge_close_download
func bridge_close_download(handle C.size_t) {
	var failed *C.UplinkError
	defer func() { uplink_free_error(failed) }()
	defer guard(&failed)
	if d, ok := held[*download](handle); ok {
		drop(handle)
		d.close()
	}
}
