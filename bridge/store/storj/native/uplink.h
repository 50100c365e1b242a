// The C ABI that uplink-python calls: names and layouts are those of libuplinkc.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct UplinkError {
    int32_t code;
    char *message;
} UplinkError;
