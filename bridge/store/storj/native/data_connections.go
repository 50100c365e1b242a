package main

// #include "uplink.h"
import "C"

import (
	"context"
	"sync"
	"time"
	_ "unsafe" // for go:linkname

	"storj.io/common/identity"
	"storj.io/common/peertls"
	"storj.io/common/pkcrypto"
	"storj.io/common/rpc"
	"storj.io/common/rpc/rpcpool"
	"storj.io/uplink"
	"storj.io/uplink/private/transport"
)

const (
	// satelliteConnections is how many idle connections to satellites are kept: every call takes
	// one, and dialling anew costs two round trips.
	satelliteConnections = 128

	nodeConnections    = 500
	connectionsToANode = 32
	idleConnection     = 2 * time.Minute
)

// The connections of all stores of this process. Nobody closes them but time.
var (
	satellitePool = rpcpool.New(rpcpool.Options{
		Name: "satellite", Capacity: satelliteConnections,
		KeyCapacity: satelliteConnections, IdleExpiration: idleConnection,
	})
	nodePool = rpcpool.New(rpcpool.Options{
		Name: "nodes", Capacity: nodeConnections,
		KeyCapacity: connectionsToANode, IdleExpiration: idleConnection,
	})
)

// ownIdentity is who this process is to satellites and nodes: nobody they know.
var ownIdentity = sync.OnceValues(func() (*identity.FullIdentity, error) {
	return identity.NewFullIdentity(context.Background(), identity.NewCAOptions{Concurrency: 1})
})

// peers are a satellite, at one address, and the nodes that it names. All stores that reach this
// satellite share their connections, and no others do.
//
// A pool tells connections apart by who is at their other end, not by the way there. Somebody's
// grant may name a satellite at an address of his own, which carries on what it gets, or a satellite
// of his own, which names nodes at such addresses: others' calls are not to go that way.
type peers struct {
	// chain and key are the process's identity as PEM. uplink keeps one set of TLS options for each
	// pair of these very slices, and the pools one set of connections for each of those options.
	chain, key []byte
	// buckets are those that were there when they were last doubted: see store.missing.
	buckets sync.Map
}

var satellites = struct {
	sync.Mutex
	byURL map[string]*peers
}{byURL: map[string]*peers{}}

// peersOf returns the peers at a satellite's node URL.
func peersOf(url string) (*peers, error) {
	own, err := ownIdentity()
	if err != nil {
		return nil, err
	}
	satellites.Lock()
	defer satellites.Unlock()
	if known, ok := satellites.byURL[url]; ok {
		return known, nil
	}
	made := &peers{}
	if made.chain, err = peertls.ChainBytes(own.Chain()...); err != nil {
		return nil, err
	}
	if made.key, err = pkcrypto.PrivateKeyToPEM(own.Key); err != nil {
		return nil, err
	}
	satellites.byURL[url] = made
	return made, nil
}

// config is how uplink reaches these peers.
func (p *peers) config(ctx context.Context, userAgent string, timeout time.Duration) (uplink.Config, error) {
	config := uplink.Config{
		UserAgent: userAgent, DialTimeout: timeout, DialContext: connect,
		ChainPEM: p.chain, KeyPEM: p.key,
	}
	if err := transport.SetConnectionPool(ctx, &config, nodePool); err != nil {
		return config, err
	}
	return config, transport.SetSatelliteConnectionPool(ctx, &config, satellitePool)
}

// dialers are uplink's own for config, to the satellite and to nodes.
func dialers(ctx context.Context, config uplink.Config) (satellite, nodes rpc.Dialer, err error) {
	if nodes, err = configDialer(config, ctx); err != nil {
		return satellite, nodes, err
	}
	satellite = nodes
	satellite.Pool = satellitePool
	return satellite, nodes, nil
}

// configDialer is a function that uplink keeps for its own packages (config.go there): there is no
// other way to the TLS options, without which nothing else shares its connections.
//
//go:linkname configDialer storj.io/uplink.config_getDialer
func configDialer(uplink.Config, context.Context) (rpc.Dialer, error)
