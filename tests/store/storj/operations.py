"""Every operation of a store, to be tried with grants of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.store.api import ObjectInfo, ObjectStore
from tests.store.objects import put_part, read, write

INLINE = b"inline"

ON_NODES = b"n" * 70_000
"""Too long to be kept by the satellite itself."""

STREAMED = b"s" * (3 << 20)
"""Too long to be sent in one call."""


@dataclass(frozen=True)
class Scene:
    """What lies under a prefix before an operation, made by whoever may do all.

    ``there`` and ``large`` are objects, of which ``info`` describes the first; ``upload`` is one of
    parts, ``nothing`` a free key.
    """

    prefix: str
    there: str
    large: str
    nothing: str
    info: ObjectInfo
    upload_key: str
    upload: str

    @classmethod
    def make(cls, owner: ObjectStore, prefix: str) -> Scene:
        there, large = f"{prefix}there", f"{prefix}large"
        upload_key = f"{prefix}parts"
        info = write(owner, there, INLINE, {"name": "value"})
        write(owner, large, ON_NODES)
        upload = owner.create_multipart(upload_key)
        put_part(owner, upload_key, upload, 1, ON_NODES)
        return cls(prefix, there, large, f"{prefix}nothing", info, upload_key, upload)

    def contents(self, owner: ObjectStore) -> tuple[object, ...]:
        """All that an operation might have changed: objects, the parts of the upload, uploads.

        An upload that was begun and then refused stays, until the satellite forgets it.
        """
        objects = {
            info.key: (info.version, info.size, info.metadata)
            for info in owner.list(self.prefix, recursive=True)
        }
        parts = tuple(owner.list_parts(self.upload_key, self.upload))
        uploads = [(upload.key, upload.upload_id) for upload in owner.list_multiparts(self.prefix)]
        return objects, parts, sorted(uploads)


Operation = Callable[[ObjectStore, Scene], object]


def _complete_own(store: ObjectStore, key: str) -> None:
    upload = store.create_multipart(key)
    put_part(store, key, upload, 1, ON_NODES)
    store.complete_multipart(key, upload, {})


def _abort_own(store: ObjectStore, key: str) -> None:
    store.abort_multipart(key, store.create_multipart(key))


def _parts_of_own(store: ObjectStore, key: str) -> None:
    upload = store.create_multipart(key)
    put_part(store, key, upload, 1, ON_NODES)
    store.list_parts(key, upload)


CHANGES: dict[str, Operation] = {
    "put a small object": lambda store, scene: write(store, scene.nothing, INLINE),
    "put an object": lambda store, scene: write(store, scene.nothing, ON_NODES),
    "put a long object": lambda store, scene: write(store, scene.nothing, STREAMED),
    "put if absent": lambda store, scene: write(store, scene.nothing, INLINE, if_absent=True),
    "put a small object over another": lambda store, scene: write(store, scene.there, INLINE),
    "put an object over another": lambda store, scene: write(store, scene.there, ON_NODES),
    "put a long object over another": lambda store, scene: write(store, scene.there, STREAMED),
    "begin a multipart upload": lambda store, scene: store.create_multipart(scene.nothing),
    "put a part, complete": lambda store, scene: _complete_own(store, scene.nothing),
    "put a part, complete over another": lambda store, scene: _complete_own(store, scene.there),
    "abort a multipart upload": lambda store, scene: _abort_own(store, scene.nothing),
    "put a part of another's upload": lambda store, scene: put_part(
        store, scene.upload_key, scene.upload, 2, ON_NODES
    ),
    "complete another's upload": lambda store, scene: store.complete_multipart(
        scene.upload_key, scene.upload, {}
    ),
    "abort another's upload": lambda store, scene: store.abort_multipart(
        scene.upload_key, scene.upload
    ),
    "delete": lambda store, scene: store.delete(scene.there),
    "delete many": lambda store, scene: store.delete_many([scene.there, scene.large]),
    "copy": lambda store, scene: store.copy(scene.there, scene.nothing),
    "copy if absent": lambda store, scene: store.copy(scene.there, scene.nothing, if_absent=True),
    "copy over another": lambda store, scene: store.copy(scene.there, scene.large),
    "move": lambda store, scene: store.move(scene.there, scene.nothing),
    "move over another": lambda store, scene: store.move(scene.there, scene.large),
    "set metadata": lambda store, scene: store.set_metadata(
        scene.there, {"name": "other"}, scene.info.version
    ),
}
"""What changes something, each of all its keys under the scene's prefix."""

LOOKS: dict[str, Operation] = {
    "get": lambda store, scene: read(store, scene.there),
    "get an object on nodes": lambda store, scene: read(store, scene.large),
    "get a range": lambda store, scene: read(store, scene.large, 5, 100),
    "stat": lambda store, scene: store.stat(scene.there),
    "list": lambda store, scene: list(store.list(scene.prefix)),
    "list all below": lambda store, scene: list(store.list(scene.prefix, recursive=True)),
    "list multipart uploads": lambda store, scene: store.list_multiparts(scene.prefix),
    "list parts": lambda store, scene: _parts_of_own(store, scene.nothing),
    "list another's parts": lambda store, scene: store.list_parts(scene.upload_key, scene.upload),
}
"""What changes nothing; "list parts" begins the upload whose parts it lists."""

OPERATIONS = CHANGES | LOOKS
