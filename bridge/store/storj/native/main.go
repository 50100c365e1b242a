// Package main is the bridge's way to Storj: storj.io/uplink as a C library.
//
// It has two halves on the same handles: the uplink_ functions have the C ABI that
// uplink-python calls for grants, projects and buckets; the bridge_ functions carry the data.
// The library is built by build.py as libuplinkc.so.
package main

func main() {}
