"""The native library: a Go module over storj.io/uplink, and how it is built.

What is written here runs at build time, before any dependency is installed: these modules
import each other and the standard library only (``build_hook`` also hatchling). None of them is
in a wheel; ``bridge.store.storj.library`` loads what they make.
"""
