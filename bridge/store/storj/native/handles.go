package main

// #include "uplink.h"
import "C"

import "sync"

// handles maps what C holds to Go values. A handle is never used twice, so that one that was
// freed is told from all others.
var handles = struct {
	sync.RWMutex
	last   C.size_t
	values map[C.size_t]any
}{values: map[C.size_t]any{}}

// keep stores a value and returns its handle.
func keep(value any) C.size_t {
	handles.Lock()
	defer handles.Unlock()
	handles.last++
	handles.values[handles.last] = value
	return handles.last
}

// held returns the value of a handle; false when there is none, or it is of another type.
func held[T any](handle C.size_t) (T, bool) {
	handles.RLock()
	defer handles.RUnlock()
	value, ok := handles.values[handle].(T)
	return value, ok
}

// drop forgets a handle. Dropping it again does nothing.
func drop(handle C.size_t) {
	handles.Lock()
	defer handles.Unlock()
	delete(handles.values, handle)
}

// bridge_handles returns how many handles are in use.
//
//export bridge_handles
func bridge_handles() C.size_t {
	handles.RLock()
	defer handles.RUnlock()
	return C.size_t(len(handles.values))
}
