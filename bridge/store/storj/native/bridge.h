// What the data plane hands out and takes: see bridge/store/storj/binding.py for the other side.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Bytes allocated for the caller, who gives them back by bridge_free.
typedef struct BridgeBytes {
    uint8_t *data;
    size_t size;
} BridgeBytes;

typedef struct BridgeOptions {
    const char *user_agent;
    // How long a call may last, for whoever dials.
    int64_t call_ms;
    // Most segments of one upload that are sent at the same time; see memory.go.
    int32_t segments_at_once;
} BridgeOptions;
