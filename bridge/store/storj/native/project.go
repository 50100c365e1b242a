package main

// #include "uplink.h"
import "C"

import (
	"context"
	"time"
	"unsafe"

	"storj.io/uplink"
)

const (
	// callLimit is how long one round trip to the satellite may take.
	callLimit = 30 * time.Second

	// emptyLimit is how long the satellite may take to delete a bucket with what is in it.
	emptyLimit = 10 * time.Minute
)

// project is an open project that C holds. Its context is over once it is closed or freed:
// what still runs in it ends then.
type project struct {
	*uplink.Project
	ctx    context.Context
	cancel context.CancelFunc
}

// within is the context of a call in the project.
func (p *project) within(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, limit)
}

// close ends what runs in the project and closes its connections. Doing it twice is no error.
func (p *project) close() error {
	p.cancel()
	return p.Project.Close()
}

// heldProject returns the project that pointer stands for.
func heldProject(pointer *C.UplinkProject) (*project, error) {
	if pointer != nil {
		if p, ok := held[*project](pointer._handle); ok {
			return p, nil
		}
	}
	return nil, invalidHandle("project")
}

// uplink_open_project is uplink_config_open_project with uplink's defaults.
//
//export uplink_open_project
func uplink_open_project(access *C.UplinkAccess) C.UplinkProjectResult {
	return uplink_config_open_project(C.UplinkConfig{}, access)
}

// uplink_config_open_project opens a project. Nothing is sent yet: an unreachable satellite
// shows with the first call.
//
//export uplink_config_open_project
func uplink_config_open_project(config C.UplinkConfig, access *C.UplinkAccess) (result C.UplinkProjectResult) {
	defer guard(&result.error)
	acc, err := heldAccess(access)
	if err != nil {
		result.error = newError(err)
		return result
	}
	acc.Lock()
	defer acc.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	opened, err := uplinkConfig(config).OpenProject(ctx, acc.Access)
	if err != nil {
		cancel()
		result.error = newError(asArgument(err)) // a user agent that is none
		return result
	}
	acc.opened = true
	result.project = (*C.UplinkProject)(C.calloc(1, C.sizeof_UplinkProject))
	result.project._handle = keep(&project{opened, ctx, cancel})
	return result
}

// uplinkConfig returns uplink's form of a configuration.
func uplinkConfig(config C.UplinkConfig) uplink.Config {
	return uplink.Config{
		UserAgent:   C.GoString(config.user_agent),
		DialTimeout: time.Duration(config.dial_timeout_milliseconds) * time.Millisecond,
	}
}

// uplink_close_project closes a project; it is still to be freed.
//
//export uplink_close_project
func uplink_close_project(project *C.UplinkProject) (failure *C.UplinkError) {
	defer guard(&failure)
	if project == nil {
		return nil
	}
	p, err := heldProject(project)
	if err != nil {
		return newError(err)
	}
	return newError(p.close())
}

// uplink_free_project_result closes the project of a result and frees both.
//
//export uplink_free_project_result
func uplink_free_project_result(result C.UplinkProjectResult) {
	var failure *C.UplinkError // it is gone either way, and there is nobody to tell
	defer func() { uplink_free_error(failure) }()
	defer guard(&failure)
	uplink_free_error(result.error)
	if result.project == nil {
		return
	}
	p, err := heldProject(result.project)
	drop(result.project._handle)
	C.free(unsafe.Pointer(result.project))
	if err == nil {
		failure = newError(p.close())
	}
}
