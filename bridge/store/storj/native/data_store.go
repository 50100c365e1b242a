package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"errors"
	"sync"
	"time"
	"unsafe"

	"storj.io/common/encryption"
	"storj.io/common/grant"
	"storj.io/common/rpc"
	"storj.io/common/storj"
	"storj.io/common/useragent"
	"storj.io/uplink"
	"storj.io/uplink/private/ecclient"
	"storj.io/uplink/private/eestream/scheduler"
	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/testuplink"
	"storj.io/uplink/private/version"
)

const (
	// blockSize is what uplink itself encrypts with: 29 erasure shares of 256 bytes.
	blockSize = 29 * 256

	// piecesAtOnce is how many connections to nodes one upload may have; uplink's own number.
	piecesAtOnce = 300

	// As uplink has them (project.go).
	segmentSize = 64 << 20
	inlineSize  = 4096
)

var encryptionParameters = storj.EncryptionParameters{
	CipherSuite: storj.EncAESGCM,
	BlockSize:   blockSize,
}

// store is one bucket, reached by one grant. Opening one asks nobody and dials nothing.
//
// Uploads and downloads go through uplink's own Project. What uplink does not offer, listings
// that leave nothing out and metadata changes that name a version, goes to the satellite by
// client; both share the same connections, as all stores do.
type store struct {
	bucket string
	access *uplink.Access
	grant  *grant.Access
	peers  *peers
	config uplink.Config
	// projects are uplink's own, by how many segments one upload sends at the same time, less one;
	// each is made when it is first needed.
	projects     []*uplink.Project
	projectsLock sync.Mutex
	userAgent    string
	dialer       rpc.Dialer
	nodes        ecclient.Client
	uploads      uploads
	// ctx ends when the store is closed, and with it every call.
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// errClosed is why the calls of a closed store end.
var errClosed = errors.New("the store is closed")

func openStore(serialized, bucket string, options *C.BridgeOptions) (_ *store, err error) {
	s := &store{
		bucket:   bucket,
		projects: make([]*uplink.Project, int(options.segments_at_once)),
		uploads:  uploads{names: map[upload]storj.StreamID{}},
	}
	if s.access, err = parseAccess(serialized); err != nil {
		return nil, err
	}
	// The grant again: uplink keeps its keys to itself.
	if s.grant, err = grant.ParseAccess(serialized); err != nil {
		return nil, err
	}
	s.grant.EncAccess.LimitTo(s.grant.APIKey)
	s.grant.SatelliteAddress = s.access.SatelliteAddress() // with the id that it may have left out

	userAgent := C.GoString(options.user_agent)
	if _, err = useragent.ParseEntries([]byte(userAgent)); err != nil {
		return nil, invalidArgument("invalid user agent: %w", err)
	}
	if s.userAgent, err = version.AppendVersionToUserAgent(userAgent); err != nil {
		return nil, err
	}
	if s.peers, err = peersOf(s.grant.SatelliteAddress); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancelCause(distrustful(context.Background()))
	timeout := time.Duration(options.call_ms) * time.Millisecond
	if s.config, err = s.peers.config(s.ctx, userAgent, timeout); err != nil {
		return nil, err
	}
	toNodes := rpc.Dialer{}
	if s.dialer, toNodes, err = dialers(s.ctx, s.config); err != nil {
		return nil, err
	}
	s.nodes = ecclient.New(toNodes, 0)
	return s, nil
}

// project is uplink's own, for all that is no upload of segments.
func (s *store) project() (*uplink.Project, error) { return s.projectFor(0) }

// projectFor is uplink's own whose uploads send so many segments more than one at the same time.
func (s *store) projectFor(more int) (*uplink.Project, error) {
	s.projectsLock.Lock()
	defer s.projectsLock.Unlock()
	if s.projects[more] != nil {
		return s.projects[more], nil
	}
	ctx := testuplink.WithConcurrentSegmentUploadsConfig(s.ctx,
		testuplink.ConcurrentSegmentUploadsConfig{SchedulerOptions: scheduling(1 + more)})
	project, err := s.config.OpenProject(ctx, s.access)
	if err != nil {
		return nil, err
	}
	s.projects[more] = project
	return project, nil
}

// scheduling bounds what one upload sends at the same time.
func scheduling(segments int) scheduler.Options {
	return scheduler.Options{MaximumConcurrent: piecesAtOnce, MaximumConcurrentHandles: segments}
}

// close ends all calls. Connections are everybody's; a project whose pools it was given has nothing
// else to close.
func (s *store) close() { s.cancel(errClosed) }

func (s *store) dial(ctx context.Context) (*metaclient.Client, error) {
	return metaclient.DialNodeURL(ctx, s.dialer, s.grant.SatelliteAddress, s.grant.APIKey, s.userAgent)
}

// satellite calls ask with a client of the satellite, and gives its connection back.
func (s *store) satellite(ctx context.Context, ask func(*metaclient.Client) error) error {
	client, err := s.dial(ctx)
	if err != nil {
		return err
	}
	err = ask(client)
	if closing := client.Close(); err == nil {
		err = closing
	}
	return err
}

// missing is err, unless that says "no such object" because the whole bucket is not there, of which
// the satellite says the same. It is asked once for all stores: a bucket that goes later has been
// emptied before.
func (s *store) missing(ctx context.Context, err error) error {
	if err == nil || codeOf(err) != C.UPLINK_ERROR_OBJECT_NOT_FOUND {
		return err
	}
	bucket := seenBucket{string(s.grant.APIKey.Head()), s.bucket}
	if _, seen := s.peers.buckets.Load(bucket); seen {
		return err
	}
	asking := s.satellite(ctx, func(client *metaclient.Client) error {
		_, err := client.GetBucket(ctx, metaclient.GetBucketParams{Name: []byte(s.bucket)})
		return err
	})
	if asking != nil {
		return asking
	}
	s.peers.buckets.Store(bucket, struct{}{})
	return err
}

// seenBucket is a bucket of the project that an API key belongs to, named by what all keys cut from
// it begin with.
type seenBucket struct{ head, name string }

func (s *store) keys() *encryption.Store { return s.grant.EncAccess.Store }

// within is the context of a call that may take so many milliseconds.
func (s *store) within(milliseconds C.int64_t) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, time.Duration(milliseconds)*time.Millisecond)
}

// bridge_open opens bucket with a serialized grant. Nothing is asked of the network yet.
//
//export bridge_open
func bridge_open(serialized, bucket *C.char, options *C.BridgeOptions, handle *C.size_t) (failed *C.UplinkError) {
	defer guard(&failed)
	s, err := openStore(C.GoString(serialized), C.GoString(bucket), options)
	if err != nil {
		return newError(err)
	}
	*handle = keep(s)
	return nil
}

// bridge_close ends all calls of a store. Closing it again does nothing.
//
//export bridge_close
func bridge_close(handle C.size_t) {
	if s, ok := held[*store](handle); ok {
		drop(handle)
		s.close()
	}
}

// bridge_free gives back bytes that a call handed out.
//
//export bridge_free
func bridge_free(bytes C.BridgeBytes) { C.free(unsafe.Pointer(bytes.data)) }
