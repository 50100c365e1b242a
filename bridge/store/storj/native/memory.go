package main

// #include <stdint.h>
import "C"

import (
	"runtime/debug"
	"sync"
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
