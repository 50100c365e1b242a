package main

// #include "uplink.h"
import "C"

import (
	"context"
	"time"
	"unsafe"

	"storj.io/uplink"
)

// project is an open project that C holds. Its context is over once it is closed or freed:
// what still runs in it ends then.
type project struct {
	*uplink.Project
	ctx    context.Context
	cancel context.CancelFunc
}

// openProject opens a project; ctx carries what uplink takes from contexts, and ends with
// the project only.
func openProject(ctx context.Context, config uplink.Config, acc *access) (*project, error) {
	ctx, cancel := context.WithCancel(ctx)
	opened, err := config.OpenProject(ctx, acc.Access)
	if err != nil {
		cancel()
		return nil, err
	}
	return &project{opened, ctx, cancel}, nil
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

// allocProject hands a project to C, which frees it with uplink_free_project_result.
func allocProject(p *project) *C.UplinkProject {
	pointer := (*C.UplinkProject)(C.calloc(1, C.sizeof_UplinkProject))
	pointer._handle = keep(p)
	return pointer
}

// uplink_open_project opens a project with uplink's defaults.
//
//export uplink_open_project
func uplink_open_project(access *C.UplinkAccess) C.UplinkProjectResult {
	return uplink_config_open_project(C.UplinkConfig{}, access)
}

// uplink_config_open_project opens a project. Nothing is sent yet, so that an unreachable
// satellite shows with the first call.
//
//export uplink_config_open_project
func uplink_config_open_project(config C.UplinkConfig, access *C.UplinkAccess) (result C.UplinkProjectResult) {
	defer guard(&result.error)
	acc, err := heldAccess(access)
	if err != nil {
		result.error = newError(err)
		return result
	}
	opened, err := openProject(context.Background(), uplinkConfig(config), acc)
	if err != nil {
		result.error = newError(coded{C.BRIDGE_ERROR_ARGUMENT_INVALID, err})
		return result
	}
	result.project = allocProject(opened)
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
	var failure *C.UplinkError
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
		_ = p.close() // it is gone either way, and nobody is told
	}
}
