"""A real bucket on Storj, on which a test can lose answers and let days pass.

Nothing of the network is replaced. An upload that was answered refuses another commit; here it
takes one, as one does whose answer was lost on the way. And a satellite dates objects by its own
clock, which no test can move: here a date has moved on by as much as the test's own time had when
the object was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from bridge.store.api import Metadata, ObjectInfo
from bridge.store.storj.access import Access
from bridge.store.storj.download import StorjDownload
from bridge.store.storj.store import StorjOptions, StorjStore
from bridge.store.storj.upload import StorjUpload
from tests.network.client import Network
from tests.network.values import Project

USER_AGENT = "tests/1.0"


class TestedStore(StorjStore):
    """``passed``: seconds by which the test's time is ahead of the network's."""

    __test__ = False

    def __init__(self, grant: str, bucket: str, passed: Callable[[], float]) -> None:
        super().__init__(grant, bucket, StorjOptions(user_agent=USER_AGENT))
        self._passed = passed
        self._ahead: dict[str, float] = {}

    def made(self, info: ObjectInfo) -> ObjectInfo:
        """Note when a version was made."""
        self._ahead[info.version] = self._passed()
        return self.dated(info)

    def dated(self, info: ObjectInfo) -> ObjectInfo:
        """``info`` as a store would date it whose time is the test's."""
        ahead = self._ahead.get(info.version, 0.0)
        return replace(info, modified=info.modified + ahead) if ahead else info

    def put(self, key: str) -> StorjUpload:
        return _RepeatableUpload(super().put(key), self.made)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> StorjDownload:
        download = super().get(key, offset, length)
        download._info = self.dated(download.info)
        return download

    def stat(self, key: str) -> ObjectInfo:
        return self.dated(super().stat(key))

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        return map(self.dated, super().list(prefix, recursive=recursive, cursor=cursor))

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        return self.made(super().copy(src, dst, if_absent=if_absent))

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        return self.made(super().complete_multipart(key, upload_id, metadata, if_absent=if_absent))


class _RepeatableUpload(StorjUpload):
    """An upload that after a commit is as after one that took effect and was not answered."""

    def __init__(self, upload: StorjUpload, made: Callable[[ObjectInfo], ObjectInfo]) -> None:
        super().__init__(upload._bucket, upload._key)
        self._made_object = made
        self._published = False

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        content = self._content
        info = super().commit(metadata, if_absent=if_absent)
        self._published, self._over, self._content = True, False, content
        return self._made_object(info)

    def abort(self) -> None:
        self._over = self._over or self._published
        super().abort()


def open_tested(network: Network, project: Project, passed: Callable[[], float]) -> TestedStore:
    """A store in a new bucket of ``project``."""
    bucket = network.new_bucket_name()
    Access.parse(project.grant).ensure_bucket(bucket, USER_AGENT)
    return TestedStore(project.grant, bucket, passed)
