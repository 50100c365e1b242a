"""The WebDAV door over real sockets."""
