"""What can go wrong with the test network itself."""

from __future__ import annotations


class NetworkError(Exception):
    """The network could not be built, started or commanded; the message has its log's tail."""


class GoMissing(NetworkError):
    """There is neither a Go that is new enough nor the Python package that brings one."""
