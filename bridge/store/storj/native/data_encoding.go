package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"storj.io/uplink"
)

// Objects and metadata cross as bytes, little-endian, each text with its length before it:
//
//	entry:    kind u8, size i64, modified in microseconds i64, version text8, key text16, metadata
//	metadata: pairs u16, then name and value text16 each
type kind uint8

const (
	anObject kind = iota
	aPrefix
	// aDamagedObject has metadata that do not decrypt, or are none.
	aDamagedObject
)

type entry struct {
	kind     kind
	key      string
	size     int64
	modified time.Time
	version  string
	metadata map[string]string
}

var errEncoding = errors.New("malformed metadata")

func (e entry) append(to []byte) []byte {
	to = append(to, byte(e.kind))
	to = binary.LittleEndian.AppendUint64(to, uint64(e.size))
	to = binary.LittleEndian.AppendUint64(to, uint64(e.modified.UnixMicro()))
	to = append(to, byte(len(e.version)))
	to = append(to, e.version...)
	to = appendText(to, e.key)
	to = binary.LittleEndian.AppendUint16(to, uint16(len(e.metadata)))
	for name, value := range e.metadata {
		to = appendText(appendText(to, name), value)
	}
	return to
}

func appendText(to []byte, text string) []byte {
	to = binary.LittleEndian.AppendUint16(to, uint16(len(text)))
	return append(to, text...)
}

func takeText(from []byte) (string, []byte, error) {
	if len(from) < 2 {
		return "", nil, errEncoding
	}
	size, from := int(binary.LittleEndian.Uint16(from)), from[2:]
	if len(from) < size {
		return "", nil, errEncoding
	}
	return string(from[:size]), from[size:], nil
}

func takeMetadata(from []byte) (map[string]string, error) {
	if len(from) < 2 {
		return nil, errEncoding
	}
	pairs, from := int(binary.LittleEndian.Uint16(from)), from[2:]
	metadata := make(map[string]string, pairs)
	for range pairs {
		var name, value string
		var err error
		if name, from, err = takeText(from); err != nil {
			return nil, err
		}
		if value, from, err = takeText(from); err != nil {
			return nil, err
		}
		metadata[name] = value
	}
	return metadata, nil
}

// given is the caller's memory, valid until the call returns.
func given(data *C.uint8_t, size C.size_t) []byte {
	return unsafe.Slice((*byte)(data), int(size))
}

// handOut copies bytes to memory that the caller frees by bridge_free.
func handOut(to *C.BridgeBytes, bytes []byte) {
	to.data = (*C.uint8_t)(C.CBytes(bytes))
	to.size = C.size_t(len(bytes))
}

func appendPart(to []byte, part *uplink.Part) []byte {
	to = binary.LittleEndian.AppendUint32(to, part.PartNumber)
	to = binary.LittleEndian.AppendUint64(to, uint64(part.Size))
	return appendText(to, string(part.ETag))
}
