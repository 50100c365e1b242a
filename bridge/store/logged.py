"""A wrapper that tells the log of a store's calls.

At level debug every call has a line: its operation, object, milliseconds, ``code`` (``ok``, or the
class of the error) and, where content goes, bytes. Blocks of content have none of their own: what
was written is told with the commit or abort, what was read when the download is closed, with the
time of all its blocks. Above debug only calls that fail (warning) or take long (info) are told, and
never what they were about: a key may hold a name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from bridge.store.api import (
    Changed,
    Download,
    Exists,
    InvalidKey,
    NotFound,
    ObjectStore,
    PartUpload,
    TooLarge,
    TooSmall,
    Upload,
)
from bridge.store.wrapping import (
    Operation,
    WrappedDownload,
    WrappedPartUpload,
    WrappedStore,
    WrappedUpload,
)

T = TypeVar("T")

SLOW = 5.0
"""Seconds from which a single call is told above debug level."""

_ANSWERS = (NotFound, Exists, Changed, InvalidKey, TooLarge, TooSmall)
"""Errors that say how things are. Every other one is a failure."""

_BLOCKS: frozenset[Operation] = frozenset({"write", "write_part", "read"})

_LAST: frozenset[Operation] = frozenset({"commit", "commit_part"})


class LoggedStore(WrappedStore):
    """``inner``, told of. ``calls``: whether of every call, which is for level debug."""

    def __init__(
        self,
        inner: ObjectStore,
        *,
        calls: bool,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(inner)
        self._calls = calls
        self._clock = clock
        self._log = structlog.get_logger()

    def around(
        self,
        operation: Operation,
        key: str,
        call: Callable[[], T],
        transfer: _Transfer | None = None,
    ) -> T:
        began = self._clock()
        try:
            result = call()
        except Exception as error:
            self._ended(operation, key, self._clock() - began, transfer, error)
            raise
        self._ended(operation, key, self._clock() - began, transfer)
        return result

    def _ended(
        self,
        operation: Operation,
        key: str,
        seconds: float,
        transfer: _Transfer | None,
        error: Exception | None = None,
    ) -> None:
        if transfer is not None:
            transfer.seconds += seconds
        if self._calls and (error is not None or operation not in _BLOCKS):
            self.tell(operation, key, seconds, transfer, error)
        if transfer is not None and operation in _LAST and error is None:
            transfer.over = True
        over = transfer is not None and transfer.over
        if error is not None and not isinstance(error, _ANSWERS) and not over:
            self._log.warning(
                "a store call failed",
                operation=operation,
                code=type(error).__name__,
                milliseconds=_milliseconds(seconds),
            )
        elif seconds >= SLOW:
            self._log.info(
                "a store call took long", operation=operation, milliseconds=_milliseconds(seconds)
            )

    def tell(
        self,
        operation: str,
        key: str,
        seconds: float,
        transfer: _Transfer | None = None,
        error: Exception | None = None,
    ) -> None:
        """Write the line of one call, or of the ``transfer`` that it ends."""
        if transfer is None:
            fields: dict[str, object] = {"milliseconds": _milliseconds(seconds)}
        else:
            fields = {"milliseconds": _milliseconds(transfer.seconds), "bytes": transfer.size}
        if error is not None:
            fields["reason"] = str(error)
        code = "ok" if error is None else type(error).__name__
        self._log.debug("store call", operation=operation, object=key, code=code, **fields)

    def ended_early(self, operation: str, key: str, transfer: _Transfer) -> None:
        """Tell of a transfer that ends without a call of its own, once."""
        if not transfer.over:
            transfer.over = True
            if self._calls:
                self.tell(operation, key, 0.0, transfer)

    def put(self, key: str) -> Upload:
        upload = self.around("put", key, lambda: self._inner.put(key))
        return _LoggedUpload(_Transfer(self), upload, key)

    def put_part(self, key: str, upload_id: str, number: int) -> PartUpload:
        part = self.around("put_part", key, lambda: self._inner.put_part(key, upload_id, number))
        return _LoggedPartUpload(_Transfer(self), part, key)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Download:
        download = self.around("get", key, lambda: self._inner.get(key, offset, length))
        return _LoggedDownload(_Transfer(self), download, key)


class _Transfer(WrappedStore):
    """What an upload, part or download passes its calls through: it sums up their blocks.

    ``over``: it is committed, or was ended by whoever holds it: what still fails is no failure.
    """

    def __init__(self, logged: LoggedStore) -> None:
        super().__init__(logged)
        self.logged = logged
        self.seconds = 0.0
        self.size = 0
        self.over = False

    def around(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        return self.logged.around(operation, key, call, self)

    def sent(self, count: int) -> None:
        self.size += count

    def received(self, count: int) -> None:
        self.size += count


class _LoggedUpload(WrappedUpload):
    def __init__(self, transfer: _Transfer, inner: Upload, key: str) -> None:
        super().__init__(transfer, inner, key)
        self._transfer = transfer

    def abort(self) -> None:
        self._transfer.logged.ended_early("abort", self._key, self._transfer)
        super().abort()


class _LoggedPartUpload(WrappedPartUpload):
    def __init__(self, transfer: _Transfer, inner: PartUpload, key: str) -> None:
        super().__init__(transfer, inner, key)
        self._transfer = transfer

    def abort(self) -> None:
        self._transfer.logged.ended_early("abort_part", self._key, self._transfer)
        super().abort()


class _LoggedDownload(WrappedDownload):
    def __init__(self, transfer: _Transfer, inner: Download, key: str) -> None:
        super().__init__(transfer, inner, key)
        self._transfer = transfer

    def close(self) -> None:
        self._transfer.logged.ended_early("read", self._key, self._transfer)
        super().close()


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)
