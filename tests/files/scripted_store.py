"""A store that notes its calls and lets a test step in between: no sleeping, no chance.

``on`` runs an action in the calling thread just before or just after the next call of a name;
an action that raises makes the call fail there: before its effect, or after it as if the
answer were lost. ``repeat`` makes a call twice, as a wrapper does that lost the first answer.
The action uses another tree on the wrapped store, so that it never meets itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bridge.store.api import (
    Buffer,
    Download,
    Metadata,
    MultipartInfo,
    ObjectInfo,
    ObjectStore,
    PartInfo,
    PartUpload,
    Unavailable,
    Upload,
)

R = TypeVar("R")

CHANGES = frozenset({"commit", "delete", "delete_many", "copy", "move", "set_metadata"})
"""Names of the calls that change something."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the method's name (``commit`` for an upload's), its key, and its target."""

    name: str
    key: str
    target: str = ""


Action = Callable[[Call], object]


@dataclass(slots=True)
class _Step:
    name: str
    part: str
    action: Action | None
    after: bool


class ScriptedStore:
    """An ``ObjectStore`` around another. ``thread`` of a call is the one it was made in."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self.each: Action | None = None
        """Asked before every call, if set; may raise."""
        self.each_after: Action | None = None
        """Asked after every call, if set; may raise."""
        self._steps: list[_Step] = []
        self._lock = threading.Lock()

    def on(self, name: str, action: Action, *, part: str = "", after: bool = False) -> None:
        """Run ``action`` at the next call of ``name`` with ``part`` in its key or target."""
        self._steps.append(_Step(name, part, action, after))

    def repeat(self, name: str, *, part: str = "") -> None:
        """Make the next such call twice and give the second's answer: the first's was lost."""
        self._steps.append(_Step(name, part, None, after=False))

    @property
    def done(self) -> bool:
        """Whether every step that was planned has come."""
        return not self._steps

    def count(self, name: str) -> int:
        """How many calls of ``name`` there were since ``calls`` was last cleared."""
        return sum(call.name == name for call in self.calls)

    def _run(self, call: Call, work: Callable[[], R]) -> R:
        self.calls.append(call)
        with self._lock:
            due = [
                step
                for step in self._steps
                if step.name == call.name and (step.part in call.key or step.part in call.target)
            ][:1]
            for step in due:
                self._steps.remove(step)
        if self.each:
            self.each(call)
        for step in due:
            if step.action is None:
                work()
            elif not step.after:
                step.action(call)
        answer = work()
        for step in due:
            if step.action is not None and step.after:
                step.action(call)
        if self.each_after:
            self.each_after(call)
        return answer

    def put(self, key: str) -> Upload:
        """See ``ObjectStore``. Beginning an upload asks the store nothing: it is no call."""
        return _Upload(self, key, self.inner.put(key))

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Download:
        return self._run(Call("get", key), lambda: self.inner.get(key, offset, length))

    def stat(self, key: str) -> ObjectInfo:
        return self._run(Call("stat", key), lambda: self.inner.stat(key))

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        return self._run(
            Call("list", prefix),
            lambda: self.inner.list(prefix, recursive=recursive, cursor=cursor),
        )

    def delete(self, key: str) -> None:
        self._run(Call("delete", key), lambda: self.inner.delete(key))

    def delete_many(self, keys: Sequence[str]) -> None:
        self._run(Call("delete_many", " ".join(keys)), lambda: self.inner.delete_many(keys))

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        return self._run(
            Call("copy", src, dst), lambda: self.inner.copy(src, dst, if_absent=if_absent)
        )

    def move(self, src: str, dst: str) -> None:
        self._run(Call("move", src, dst), lambda: self.inner.move(src, dst))

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        self._run(
            Call("set_metadata", key), lambda: self.inner.set_metadata(key, metadata, version)
        )

    def create_multipart(self, key: str) -> str:
        return self.inner.create_multipart(key)

    def put_part(self, key: str, upload_id: str, number: int) -> PartUpload:
        return self.inner.put_part(key, upload_id, number)

    def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        return self.inner.list_parts(key, upload_id)

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        return self.inner.complete_multipart(key, upload_id, metadata, if_absent=if_absent)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self.inner.abort_multipart(key, upload_id)

    def list_multiparts(self, prefix: str) -> Sequence[MultipartInfo]:
        return self.inner.list_multiparts(prefix)

    def probe(self) -> None:
        self.inner.probe()

    def close(self) -> None:
        self.inner.close()

    def run_commit(
        self, upload: Upload, key: str, metadata: Metadata, *, if_absent: bool
    ) -> ObjectInfo:
        """The commit of one of this store's uploads."""
        return self._run(Call("commit", key), lambda: upload.commit(metadata, if_absent=if_absent))


class _Upload:
    def __init__(self, store: ScriptedStore, key: str, inner: Upload) -> None:
        self._store = store
        self._key = key
        self._inner = inner

    def write(self, data: Buffer) -> None:
        self._inner.write(data)

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        return self._store.run_commit(self._inner, self._key, metadata, if_absent=if_absent)

    def abort(self) -> None:
        self._inner.abort()


def fail(call: Call) -> None:
    """An action: the store does not answer."""
    raise Unavailable(f"{call.name} failed as the test wants", key=call.key)


def die_at(store: ScriptedStore, number: int, *, after: bool = False) -> None:
    """From the ``number``-th changing call on (0 is the first) no call has an effect any more.

    What a process that dies there leaves; ``after``: that one call still has its effect.
    """
    seen = 0

    def each(call: Call) -> None:
        nonlocal seen
        seen += call.name in CHANGES
        if seen > number + after:
            fail(call)

    def each_after(call: Call) -> None:
        if seen > number:
            fail(call)

    store.each, store.each_after = each, each_after
