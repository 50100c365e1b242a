package main

// #include "bridge.h"
// #include "uplink.h"
import "C"

import (
	"context"
	"time"
)

// transfer is what an upload and a download have in common: it goes on over many calls, each with
// a limit of time, and a call that passes its limit ends the whole transfer.
type transfer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (s *store) newTransfer() transfer {
	ctx, cancel := context.WithCancelCause(s.ctx)
	return transfer{ctx, cancel}
}

// step runs one call of a transfer.
func (t transfer) step(milliseconds C.int64_t, call func() error) *C.UplinkError {
	limit := time.AfterFunc(time.Duration(milliseconds)*time.Millisecond, func() {
		t.cancel(context.DeadlineExceeded)
	})
	defer limit.Stop()
	err := call()
	if err == nil {
		return nil
	}
	if context.Cause(t.ctx) == context.DeadlineExceeded {
		return newError(context.DeadlineExceeded)
	}
	return newErrorIn(t.ctx, err)
}

// stopper is a transfer that another thread can stop.
type stopper interface{ stop() }

func (t transfer) stop() { t.cancel(context.Canceled) }

// bridge_stop ends a transfer from any thread: the call that runs in it fails soon.
//
//export bridge_stop
func bridge_stop(handle C.size_t) {
	if running, ok := held[stopper](handle); ok {
		running.stop()
	}
}
