package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// blockSize is the most that one direction of a link reads at once, in bytes.
	blockSize = 64 << 10

	// onTheWay is how many delayed bytes a direction holds at most.
	onTheWay = 16 << 20

	// Ports below the range that systems hand out by themselves (Linux from 32768, others from
	// 49152), so that nobody takes a proxy's port while it is cut.
	lowestPort, highestPort = 20000, 32000
)

// proxy stands before one peer (the satellite or a node), at an address that stays the same,
// and carries TCP connections to it, with the faults it is told.
type proxy struct {
	name    string
	address string
	target  atomic.Pointer[string]

	mu       sync.Mutex
	listener net.Listener // nil: cut
	delay    time.Duration
	carrying chan struct{} // closed: carries; open: stalled
	links    map[*link]struct{}
	accepted int64
	losing   func() bool // whether the answer that comes now is to be lost; nil: none is
	silently bool        // and nothing comes in its place, nor after it

	carried atomic.Int64
	lost    atomic.Int64
}

// proxyState is what a proxy says of itself. Carried counts the bytes of both directions, Accepted
// the connections since the start, Open those there are now, Lost the answers that lose took.
type proxyState struct {
	Name     string  `json:"name"`
	Address  string  `json:"address"`
	Cut      bool    `json:"cut"`
	Stalled  bool    `json:"stalled"`
	DelayMS  float64 `json:"delay_ms"`
	Accepted int64   `json:"accepted"`
	Open     int     `json:"open"`
	Carried  int64   `json:"carried"`
	Lost     int64   `json:"lost"`
}

// newProxy listens at a free port of 127.0.0.1. It is stalled until targetIs.
func newProxy(name string) (*proxy, error) {
	p := &proxy{name: name, carrying: make(chan struct{}), links: map[*link]struct{}{}}
	var err error
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		p.listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			p.address = p.listener.Addr().String()
			go p.accept(p.listener)
			return p, nil
		}
	}
	return nil, fmt.Errorf("no free port for the proxy of %s: %w", name, err)
}

// targetIs says where connections go, and carries them from now on.
func (p *proxy) targetIs(address string) {
	p.target.Store(&address)
	close(p.carrying)
}

func (p *proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.mu.Lock()
		if p.listener != listener { // cut since
			p.mu.Unlock()
			_ = conn.Close()
			continue
		}
		ctx, end := context.WithCancel(context.Background())
		l := &link{proxy: p, client: conn.(*net.TCPConn), ctx: ctx, end: end}
		p.links[l] = struct{}{}
		p.accepted++
		p.mu.Unlock()
		go l.run()
	}
}

// slow delays what is read from now on, each way. A new connection waits for its handshake too.
func (p *proxy) slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// stall goes on accepting and carries nothing more.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.carrying:
		p.carrying = make(chan struct{})
	default: // stalled already
	}
}

// cut ends every connection, as the end of the peer's process would, and refuses new ones. It
// returns how many it ended.
func (p *proxy) cut() int {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.mu.Unlock()
	return p.endLinks(false)
}

// reset ends every connection with a TCP reset; new ones are carried. It returns how many it ended.
func (p *proxy) reset() int { return p.endLinks(true) }

// lose makes the answers that due tells not arrive: each ends its connection by a reset, or silently
// is the last of it. Due is asked for each block on its way to a client.
func (p *proxy) lose(due func() bool, silently bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing, p.silently = due, silently
}

// loses tells whether the answer at hand is one to lose, and how.
func (p *proxy) loses() (lost, silently bool) {
	p.mu.Lock()
	losing, silently := p.losing, p.silently
	p.mu.Unlock()
	if losing == nil || !losing() {
		return false, false
	}
	p.lost.Add(1)
	return true, silently
}

// restore carries again, without delay: what a stall held back first, then the rest.
func (p *proxy) restore() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = 0
	p.losing = nil
	select {
	case <-p.carrying:
	default:
		close(p.carrying)
	}
	if p.listener == nil {
		listener, err := net.Listen("tcp", p.address)
		if err != nil {
			return fmt.Errorf("the proxy of %s cannot listen again: %w", p.name, err)
		}
		p.listener = listener
		go p.accept(listener)
	}
	return nil
}

func (p *proxy) state() proxyState {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := false
	select {
	case <-p.carrying:
	default:
		stalled = true
	}
	return proxyState{
		Name: p.name, Address: p.address, Cut: p.listener == nil, Stalled: stalled,
		DelayMS:  float64(p.delay) / float64(time.Millisecond),
		Accepted: p.accepted, Open: len(p.links), Carried: p.carried.Load(), Lost: p.lost.Load(),
	}
}

func (p *proxy) endLinks(reset bool) int {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.close(reset)
	}
	return len(links)
}

func (p *proxy) now() (delay time.Duration, carrying <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay, p.carrying
}

// link is one client's connection and the one to the peer that belongs to it.
type link struct {
	proxy  *proxy
	client *net.TCPConn
	ctx    context.Context
	end    context.CancelFunc

	mu     sync.Mutex
	peer   *net.TCPConn
	closed bool
}

func (l *link) run() {
	// The system accepts at once; over a distance the handshake costs the client a round trip.
	delay, _ := l.proxy.now()
	opened := time.Now().Add(2 * delay)
	if !l.carries() {
		return
	}
	peer, err := net.Dial("tcp", *l.proxy.target.Load())
	if err != nil {
		l.close(true)
		return
	}
	l.mu.Lock()
	l.peer = peer.(*net.TCPConn)
	closed := l.closed
	l.mu.Unlock()
	if closed {
		_ = peer.Close()
		return
	}
	var directions sync.WaitGroup
	directions.Go(func() { l.direct(l.peer, l.client, opened) })
	directions.Go(func() { l.direct(l.client, l.peer, opened) })
	directions.Wait()
	l.close(false)
}

// direct carries from one end to the other until the end of the stream or an error, which ends both
// directions by a reset.
func (l *link) direct(to, from *net.TCPConn, opened time.Time) {
	way := newDelayed()
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			b, more := way.first()
			if !more || !l.sleep(time.Until(b.due)) {
				return
			}
			l.write(to, b.data)
			way.arrived()
		}
	})
	defer writer.Wait()
	defer way.close()
	defer context.AfterFunc(l.ctx, way.close)()

	buffer := make([]byte, blockSize)
	mute := false
	for {
		n, err := from.Read(buffer)
		if n > 0 && from == l.peer && !mute {
			lost, silently := l.proxy.loses()
			if lost && !silently {
				l.close(true)
				return
			}
			mute = lost
		}
		if n > 0 && !mute {
			if !l.carries() {
				return
			}
			delay, _ := l.proxy.now()
			if delay == 0 && way.empty() {
				l.write(to, buffer[:n])
			} else {
				read := time.Now()
				if read.Before(opened) {
					read = opened
				}
				way.add(block{data: append([]byte(nil), buffer[:n]...), due: read.Add(delay)})
			}
		}
		if errors.Is(err, io.EOF) {
			delay, _ := l.proxy.now()
			way.add(block{due: time.Now().Add(delay)})
			return
		}
		if err != nil {
			l.close(true)
			return
		}
	}
}

// write sends data once the proxy carries; none is the end of this direction.
func (l *link) write(to *net.TCPConn, data []byte) {
	if !l.carries() {
		return
	}
	if len(data) == 0 {
		_ = to.CloseWrite()
		return
	}
	n, err := to.Write(data)
	l.proxy.carried.Add(int64(n))
	if err != nil {
		l.close(true)
	}
}

// carries waits until the proxy is not stalled; false: the link has ended.
func (l *link) carries() bool {
	_, carrying := l.proxy.now()
	select {
	case <-l.ctx.Done():
		return false
	case <-carrying:
		return true
	}
}

func (l *link) sleep(duration time.Duration) bool {
	if duration <= 0 {
		return l.ctx.Err() == nil
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// close ends both connections, by a TCP reset if asked, and forgets the link.
func (l *link) close(reset bool) {
	l.mu.Lock()
	closed, peer := l.closed, l.peer
	l.closed = true
	l.mu.Unlock()
	if closed {
		return
	}
	l.end()
	for _, conn := range []*net.TCPConn{l.client, peer} {
		if conn != nil {
			if reset {
				_ = conn.SetLinger(0)
			}
			_ = conn.Close()
		}
	}
	l.proxy.mu.Lock()
	delete(l.proxy.links, l)
	l.proxy.mu.Unlock()
}
