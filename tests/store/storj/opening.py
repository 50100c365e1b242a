"""A store on the test network."""

from __future__ import annotations

from bridge.store.storj.access import Access
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project

USER_AGENT = "tests/1.0"


def new_bucket(network: Network, project: Project) -> str:
    """A new bucket of ``project``; returns its name."""
    bucket = network.new_bucket_name()
    Access.parse(project.grant).ensure_bucket(bucket, USER_AGENT)
    return bucket


def open_store(project: Project, bucket: str, *, call_seconds: float = 60.0) -> StorjStore:
    """A store in a bucket that is there."""
    options = StorjOptions(user_agent=USER_AGENT, call_seconds=call_seconds)
    return StorjStore(project.grant, bucket, options)


def open_bucket(network: Network, project: Project, *, call_seconds: float = 60.0) -> StorjStore:
    """A store in a new bucket of ``project``."""
    return open_store(project, new_bucket(network, project), call_seconds=call_seconds)
