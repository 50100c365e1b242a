package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"storj.io/common/encryption"
	"storj.io/common/grant"
	"storj.io/common/identity"
	"storj.io/common/peertls/tlsopts"
	"storj.io/common/rpc"
	"storj.io/common/rpc/rpcpool"
	"storj.io/common/storj"
	"storj.io/uplink"
	"storj.io/uplink/private/ecclient"
	"storj.io/uplink/private/eestream/scheduler"
	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/testuplink"
	"storj.io/uplink/private/transport"
	"storj.io/uplink/private/version"
)

const (
	// satelliteConnections is how many idle connections to the satellite are kept: every call
	// takes one, and dialling anew costs two round trips.
	satelliteConnections = 128

	nodeConnections    = 500
	connectionsToANode = 32
	idleConnection     = 2 * time.Minute

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

// store is one bucket, reached by one grant.
//
// Uploads and downloads go through uplink's own Project. What uplink does not offer, listings
// that leave nothing out and metadata changes that name a version, goes to the satellite by
// client; both share the same connections.
type store struct {
	bucket string
	// projects are uplink's own, by how many segments one upload sends at the same time, less one.
	projects  []*uplink.Project
	grant     *grant.Access
	userAgent string
	dialer    rpc.Dialer
	nodes     ecclient.Client
	pools     []*rpcpool.Pool
	uploads   uploads
	// bucketSeen is whether the bucket was there when it was last doubted.
	bucketSeen atomic.Bool
	// ctx ends when the store is closed, and with it every call.
	ctx    context.Context
	cancel context.CancelFunc
}

func openStore(serialized, bucket string, options *C.BridgeOptions) (_ *store, err error) {
	s := &store{bucket: bucket, uploads: uploads{names: map[upload]storj.StreamID{}}}
	s.ctx, s.cancel = context.WithCancel(distrustful(context.Background()))
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	access, err := parseAccess(serialized)
	if err != nil {
		return nil, err
	}
	// The grant again: uplink keeps its keys to itself.
	if s.grant, err = grant.ParseAccess(serialized); err != nil {
		return nil, err
	}
	s.grant.EncAccess.LimitTo(s.grant.APIKey)

	nodes := rpcpool.New(rpcpool.Options{
		Name: "nodes", Capacity: nodeConnections,
		KeyCapacity: connectionsToANode, IdleExpiration: idleConnection,
	})
	satellite := rpcpool.New(rpcpool.Options{
		Name: "satellite", Capacity: satelliteConnections,
		KeyCapacity: satelliteConnections, IdleExpiration: idleConnection,
	})
	s.pools = []*rpcpool.Pool{nodes, satellite}

	config := uplink.Config{
		UserAgent:   C.GoString(options.user_agent),
		DialTimeout: time.Duration(options.call_ms) * time.Millisecond,
		DialContext: connect,
	}
	if err = transport.SetConnectionPool(s.ctx, &config, nodes); err != nil {
		return nil, err
	}
	if err = transport.SetSatelliteConnectionPool(s.ctx, &config, satellite); err != nil {
		return nil, err
	}
	for more := range int(options.segments_at_once) {
		ctx := testuplink.WithConcurrentSegmentUploadsConfig(s.ctx,
			testuplink.ConcurrentSegmentUploadsConfig{SchedulerOptions: scheduling(1 + more)})
		project, err := config.OpenProject(ctx, access)
		if err != nil {
			return nil, err
		}
		s.projects = append(s.projects, project)
	}
	if s.userAgent, err = version.AppendVersionToUserAgent(config.UserAgent); err != nil {
		return nil, err
	}
	if s.dialer, err = newDialer(s.ctx, satellite, config.DialTimeout); err != nil {
		return nil, err
	}
	toNodes := s.dialer
	toNodes.Pool = nodes
	s.nodes = ecclient.New(toNodes, 0)
	return s, nil
}

// scheduling bounds what one upload sends at the same time.
func scheduling(segments int) scheduler.Options {
	return scheduler.Options{MaximumConcurrent: piecesAtOnce, MaximumConcurrentHandles: segments}
}

func newDialer(ctx context.Context, pool *rpcpool.Pool, timeout time.Duration) (rpc.Dialer, error) {
	ident, err := identity.NewFullIdentity(ctx, identity.NewCAOptions{Concurrency: 1})
	if err != nil {
		return rpc.Dialer{}, err
	}
	options, err := tlsopts.NewOptions(ident, tlsopts.Config{PeerIDVersions: "0"}, nil)
	if err != nil {
		return rpc.Dialer{}, err
	}
	dialer := rpc.NewDefaultDialer(options)
	dialer.Pool = pool
	dialer.Connector = rpc.NewDefaultTCPConnector(connect) // as uplink does with a DialContext
	dialer.DialTimeout = timeout
	return dialer, nil
}

func (s *store) close() error {
	s.cancel()
	var err error
	for _, project := range s.projects {
		if closing := project.Close(); err == nil {
			err = closing
		}
	}
	for _, pool := range s.pools {
		if closing := pool.Close(); err == nil {
			err = closing
		}
	}
	return err
}

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
// the satellite says the same. It is asked once: a bucket that goes later has been emptied before.
func (s *store) missing(ctx context.Context, err error) error {
	if err == nil || s.bucketSeen.Load() || codeOf(err) != C.UPLINK_ERROR_OBJECT_NOT_FOUND {
		return err
	}
	asking := s.satellite(ctx, func(client *metaclient.Client) error {
		_, err := client.GetBucket(ctx, metaclient.GetBucketParams{Name: []byte(s.bucket)})
		return err
	})
	if asking != nil {
		return asking
	}
	s.bucketSeen.Store(true)
	return err
}

// project is uplink's own, for all that is no upload of segments.
func (s *store) project() *uplink.Project { return s.projects[0] }

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

// bridge_close ends all calls of a store and closes its connections.
//
//export bridge_close
func bridge_close(handle C.size_t) (failed *C.UplinkError) {
	defer guard(&failed)
	s, ok := held[*store](handle)
	if !ok {
		return nil
	}
	drop(handle)
	return newError(s.close())
}

// bridge_free gives back bytes that a call handed out.
//
//export bridge_free
func bridge_free(bytes C.BridgeBytes) { C.free(unsafe.Pointer(bytes.data)) }
