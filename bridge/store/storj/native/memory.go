package main

// #include <stdint.h>
import "C"

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// spare are the segments that all uploads together may send beyond one each.
var spare = segments{total: 4}

// segments counts how many segments are free; each that is sent is held in memory.
type segments struct {
	sync.Mutex
	total, taken int
}

// take returns how many of wanted there were.
func (s *segments) take(wanted int) int {
	s.Lock()
	defer s.Unlock()
	given := max(0, min(wanted, s.total-s.taken))
	s.taken += given
	return given
}

func (s *segments) give(back int) {
	s.Lock()
	defer s.Unlock()
	s.taken -= back
}

// bridge_limit_memory says how much memory this library should keep within, and how many segments
// all uploads together may send beyond one each. What is in use it keeps even so; it collects what
// is not the more often, the nearer it comes.
//
//export bridge_limit_memory
func bridge_limit_memory(bytes, segments C.int64_t) {
	debug.SetMemoryLimit(int64(bytes))
	spare.Lock()
	defer spare.Unlock()
	spare.total = int(segments)
}

const (
	// collectAt is by how many percent the heap may grow before it is collected: half of Go's own
	// number, since what is here is mostly large buffers, which cost the collector little.
	collectAt = 50

	// largeTransfer is how many bytes a transfer has moved that leaves much memory behind.
	largeTransfer = 64 << 20

	giveBackAfter = 2 * time.Second
)

func init() { debug.SetGCPercent(collectAt) }

// giveBack says that memory should go back to the system, and givingBack that somebody sees to it.
var giveBack, givingBack atomic.Bool

// transferred says that a transfer of so many bytes has ended. After a large one, what it used goes
// back to the system: by itself, Go keeps it for minutes.
func transferred(bytes int64) {
	if bytes < largeTransfer {
		return
	}
	giveBack.Store(true)
	if !givingBack.CompareAndSwap(false, true) {
		return
	}
	go func() {
		for {
			for giveBack.Swap(false) {
				time.Sleep(giveBackAfter) // the transfer is still being ended
				debug.FreeOSMemory()
			}
			givingBack.Store(false)
			if !giveBack.Load() || !givingBack.CompareAndSwap(false, true) {
				return
			}
		}
	}()
}
