"""The servers of the door's own tests."""

from tests.webdav.conftest import dav, locks, model, server, tree

__all__ = ["dav", "locks", "model", "server", "tree"]
