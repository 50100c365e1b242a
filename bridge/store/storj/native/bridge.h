// What the data plane hands out and takes: see bridge/store/storj/native.py for the other side.
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
    int64_t dial_timeout_ms;
    // Segments of one upload that are sent at the same time; each is held in memory.
    int32_t segments_at_once;
} BridgeOptions;
