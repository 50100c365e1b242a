package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"errors"
	"io"

	"storj.io/uplink"
)

// part is a part being uploaded.
type part struct {
	transfer
	upload *uplink.PartUpload
	// spare is how many segments it may send beyond the first.
	spare   int
	written int64
}

// end gives back what the part holds.
func (p *part) end() {
	p.stop()
	spare.give(p.spare)
	transferred(p.written)
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
	p := &part{transfer: s.newTransfer(), spare: spare.take(len(s.projects) - 1)}
	failed = p.step(milliseconds, func() error {
		stream, err := s.uploads.find(p.ctx, s, C.GoString(key), C.GoString(id))
		if err != nil {
			return err
		}
		project, err := s.projectFor(p.spare)
		if err != nil {
			return err
		}
		p.upload, err = project.UploadPart(p.ctx, s.bucket, C.GoString(key), uplinkID(stream), uint32(number))
		return err
	})
	if failed != nil {
		p.end()
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
		p.written += int64(written)
		if err == nil && written != int(size) {
			err = io.ErrShortWrite
		}
		if err != nil {
			// It says that sending has ended; why, only Commit says, which can but fail now.
			err = errors.Join(p.upload.Commit(), err)
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
	defer p.end()
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
		defer p.end()
		p.stop()
		_ = p.upload.Abort() // whatever it says: the context has ended, and the part with it
	}
}
