package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"storj.io/common/netutil"
	"storj.io/common/rpc/rpcpool"
	"storj.io/drpc"
)

// unacknowledged is how long the other side's kernel may be silent. Storj's own dialer bears it for
// a quarter of an hour: after a suspend, or behind a router that forgot its connections, so long
// every call would run into its limit.
const unacknowledged = 15 * time.Second

// connect dials satellite and nodes. Unlike Storj's own dialer it does not ask the network to let
// all other traffic pass first: somebody waits for what the bridge sends.
func connect(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err = netutil.SetUserTimeout(tcp, unacknowledged); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return ownConn{conn}, nil
}

// ownConn hides a connection's type from Storj's dialer, which would set its own limit.
type ownConn struct{ net.Conn }

// distrustful makes connections dialled under ctx close themselves when a call on them gets no
// answer in its time.
//
// Without it such a connection goes back into its pool, since drpc only tells the peer that the call
// is over (drpcmanager.Options.SoftCancel), and the next call takes it and gets no answer either:
// for ever, where something on the way acknowledges what it does not pass on.
func distrustful(ctx context.Context) context.Context {
	return rpcpool.WithDialerWrapper(ctx, func(_ context.Context, dial rpcpool.Dialer) rpcpool.Dialer {
		return func(ctx context.Context) (rpcpool.RawConn, *tls.ConnectionState, error) {
			conn, state, err := dial(ctx)
			if err != nil {
				return nil, nil, err
			}
			return distrustfulConn{conn}, state, nil
		}
	})
}

type distrustfulConn struct{ rpcpool.RawConn }

// Invoke closes the connection when ctx has run out of time, or its store was closed, perhaps for
// that; whoever cancels else has other reasons.
func (c distrustfulConn) Invoke(ctx context.Context, rpc string, enc drpc.Encoding, in, out drpc.Message) error {
	err := c.RawConn.Invoke(ctx, rpc, enc, in, out)
	if err != nil && ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, errClosed) {
			_ = c.Close()
		}
	}
	return err
}
