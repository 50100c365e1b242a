package network

import (
	"sync"
	"time"
)

// block is what was read at once, and when it is due at the other end. No data: the end of the
// stream.
type block struct {
	data []byte
	due  time.Time
}

// delayed is what is on its way from a reader to a writer, in its order, bounded in bytes.
type delayed struct {
	mu      sync.Mutex
	changed *sync.Cond
	blocks  []block
	bytes   int
	closed  bool
}

func newDelayed() *delayed {
	d := &delayed{}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// add waits for room.
func (d *delayed) add(b block) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.bytes >= onTheWay && !d.closed {
		d.changed.Wait()
	}
	d.blocks = append(d.blocks, b)
	d.bytes += len(b.data)
	d.changed.Broadcast()
}

// first waits for a block and leaves it there; false: closed, and none is left.
func (d *delayed) first() (block, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.blocks) == 0 && !d.closed {
		d.changed.Wait()
	}
	if len(d.blocks) == 0 {
		return block{}, false
	}
	return d.blocks[0], true
}

// arrived takes the first block away.
func (d *delayed) arrived() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes -= len(d.blocks[0].data)
	d.blocks[0] = block{}
	d.blocks = d.blocks[1:]
	d.changed.Broadcast()
}

func (d *delayed) empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.blocks) == 0
}

// close lets nobody wait any more.
func (d *delayed) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.changed.Broadcast()
}
