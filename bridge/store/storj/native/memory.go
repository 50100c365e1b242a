package main

// #include <stdint.h>
import "C"

import "runtime/debug"

// bridge_limit_memory says how much memory this library should keep within. What is in use it keeps
// even so; it collects what is not the more often, the nearer it comes.
//
//export bridge_limit_memory
func bridge_limit_memory(bytes C.int64_t) { debug.SetMemoryLimit(int64(bytes)) }
