"""The object store interface: named, immutable bytes with a little metadata.

This module is the contract between the files layer and every store (``memory``, ``local``,
``storj``) and every wrapper around one (``retrying``, ``limited``, ``metered``, ``logged``). All of
them pass one conformance suite, ``tests/store/conformance.py``. A store never knows about
encryption, paths or tenants: keys and bytes are opaque to it.

Every method is synchronous, may block, and is safe to call from many threads. A call ends
by the ambient deadline (``bridge.store.deadline``) where the store can stop its work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

KEY_LIMIT = 1_700
"""Longest key, in bytes of UTF-8."""

COMPONENT_LIMIT = 1_400
"""Longest component of a key (what stands between two ``/``), in bytes of UTF-8."""

COMPONENTS_LIMIT = 24
"""Most components of a key. Encryption on Storj adds some 29 bytes to each, and a satellite on
PostgreSQL indexes no more than 2,700 of an encrypted key."""

METADATA_LIMIT = 2_000
"""Most metadata an object may carry: names and values together, in bytes of UTF-8.

Storj allows 2 KiB encrypted; every store keeps to the same so that none accepts what
another would refuse."""

PART_LIMIT = 10_000
"""Highest part number of a multipart upload (S3, "Multipart upload limits")."""

PART_MINIMUM = 5 << 20
"""Bytes of a part from which every store takes it, wherever it stands in the upload; a smaller one
is taken everywhere as the last (S3, "Multipart upload limits", and Storj)."""

Buffer = bytes | bytearray | memoryview
Metadata = Mapping[str, str]


class StoreError(Exception):
    """A store call failed. ``key`` is the object it was about, or ``""``."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class NotFound(StoreError):
    """There is no object (or multipart upload) under this key."""


class Exists(StoreError):
    """A change asked for an absent key, and an object is there.

    After a retried call it may be the object of the first attempt: compare what it holds.
    """


class Changed(StoreError):
    """The version token passed no longer names the object's current version."""


class Forbidden(StoreError):
    """The store's own authority (a grant, a file mode) does not allow this."""


class ReadOnly(Forbidden):
    """The store takes no changes at all: its disk was mounted, or has turned, read-only."""


class RateLimited(StoreError):
    """Too many requests for now; the same call may succeed later."""


class OutOfSpace(StoreError):
    """The disk is full, or the store's storage or object quota is reached."""


class Unavailable(StoreError):
    """The store cannot be reached, failed inside, or did not answer in time.

    When a change raises this, it may or may not have taken effect: look before you retry
    what is not idempotent.
    """


class UploadBroken(Unavailable):
    """The upload is over and its content lost: begin a new one, since this one never succeeds.

    A write failed, the disk refused what was written, or the upload was aborted.
    """


class TooLarge(StoreError):
    """Metadata, content or part number exceeds what any store holds."""


class TooSmall(StoreError):
    """A part that is not the last one has less than PART_MINIMUM."""


class InvalidKey(StoreError):
    """The key is empty, too long or deep, no Unicode, or has a component ``""``, ``.``, ``..``.

    Or it has a NUL.
    """


class Damaged(StoreError):
    """The object is there, but the store cannot read its metadata or content back."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of one object, or of a common prefix in a listing.

    ``size`` is in bytes. ``modified`` is the time of the commit of the content, Unix seconds.
    ``version`` names the content: every commit and every copy makes a new one; a metadata
    update keeps it. ``metadata`` is None when the store cannot read it (the object is damaged).
    A common prefix has ``is_prefix`` set, a ``key`` that ends in ``/``, and nothing else.
    """

    key: str
    size: int = 0
    modified: float = 0.0
    version: str = ""
    metadata: Metadata | None = None
    is_prefix: bool = False


class Upload(Protocol):
    """An object being written. Nothing is visible before ``commit``.

    ``abort`` may be called at any time, also twice and after ``commit`` (then it does
    nothing); an upload that is dropped without either leaves nothing behind for ever.
    """

    def write(self, data: Buffer) -> None:
        """Append all of ``data``. The store may not keep a reference to it afterwards.

        After a ``write`` that raised, and after ``abort``, this and ``commit`` raise UploadBroken.
        """
        ...

    def commit(self, metadata: Metadata, *, if_absent: bool = False) -> ObjectInfo:
        """Publish content and metadata in one atomic, durable step, replacing what was there.

        Raises Exists when ``if_absent`` and an object is there (whatever its content),
        TooLarge when the metadata passes METADATA_LIMIT; in both cases nothing has changed.
        After Unavailable it may be called again: where the first call took effect after all,
        that one succeeds, or raises Exists when ``if_absent``. Raises UploadBroken where calling
        it again is in vain; a content with a hole is never published.
        """
        ...

    def abort(self) -> None:
        """Throw away what was written. Never raises for a store that is out of reach."""
        ...


class Download(Protocol):
    """An object being read, from one consistent version of it. A context manager."""

    @property
    def info(self) -> ObjectInfo:
        """The object this reads, as of the moment it was opened; metadata included."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of ``buffer``; return the count of bytes, 0 only at the end.

        May fill less than the whole buffer before the end.
        """
        ...

    def close(self) -> None:
        """Release what the read holds; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A committed part of a multipart upload; ``etag`` is the caller's own text for it."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class MultipartInfo:
    """A multipart upload in progress; ``started`` in Unix seconds."""

    key: str
    upload_id: str
    started: float


class PartUpload(Protocol):
    """One part being written; parts of one upload may be written in any order, at once."""

    def write(self, data: Buffer) -> None:
        """Append all of ``data``. Raises as ``Upload.write``."""
        ...

    def commit(self, etag: str) -> PartInfo:
        """Keep the part, replacing an earlier one of the same number. Raises UploadBroken."""
        ...

    def abort(self) -> None:
        """Throw the part away; as ``Upload.abort``."""
        ...


class ObjectStore(Protocol):
    """One bucket. See the module's docstring for threads and deadlines."""

    def put(self, key: str) -> Upload:
        """Begin to write an object. Raises InvalidKey."""
        ...

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Download:
        """Open ``length`` bytes from ``offset`` (all the rest when None).

        A range that passes the end is cut to it; one that begins at or after the end reads
        nothing. Raises NotFound, Damaged.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object; ``metadata`` is None when it is damaged. Raises NotFound."""
        ...

    def list(
        self, prefix: str, *, recursive: bool = False, cursor: str | None = None
    ) -> Iterator[ObjectInfo]:
        """Objects whose key begins with ``prefix`` (``""`` or ending in ``/``), with metadata.

        Not ``recursive``: what lies deeper appears once as a common prefix. The order is the
        store's own and stable; ``cursor`` is a key of an earlier listing, and the listing goes
        on after it. An object committed and not removed throughout the listing appears exactly
        once. An object whose metadata cannot be read appears with ``metadata=None``. An unknown
        prefix is an empty listing.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        ...

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove many objects, in any order and any number; missing ones are no error."""
        ...

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectInfo:
        """Copy content and metadata atomically, within the store, replacing ``dst``.

        Raises NotFound, Exists. Copying onto itself is InvalidKey.
        """
        ...

    def move(self, src: str, dst: str) -> None:
        """Rename atomically, replacing ``dst``: an observer sees either state, never both keys.

        Raises NotFound. Moving onto itself changes nothing.
        """
        ...

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        """Replace the whole metadata of the version named by ``version``, atomically.

        Raises NotFound, Changed, TooLarge, Damaged.
        """
        ...

    def create_multipart(self, key: str) -> str:
        """Begin a multipart upload; returns its upload id, which holds across restarts."""
        ...

    def put_part(self, key: str, upload_id: str, number: int) -> PartUpload:
        """Begin part ``number`` (1 to PART_LIMIT). Raises NotFound for an unknown upload.

        One that was aborted meanwhile may be noticed later, at last by ``complete_multipart``.
        """
        ...

    def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        """The committed parts, by number. Raises NotFound."""
        ...

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool = False
    ) -> ObjectInfo:
        """Publish all committed parts, in order of number, as one object; then the id is gone.

        Raises as ``Upload.commit``, NotFound for an unknown upload, and perhaps TooSmall (see
        PART_MINIMUM); after Exists and TooSmall the upload is still there.
        """
        ...

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Throw a multipart upload away; an unknown one is no error."""
        ...

    def list_multiparts(self, prefix: str) -> Sequence[MultipartInfo]:
        """The multipart uploads in progress under ``prefix``."""
        ...

    def probe(self) -> None:
        """Ask the store, cheaply and for real, whether it can read and write. Raises StoreError.

        A full store is no error: it can be read, and freed by deleting.
        """
        ...

    def close(self) -> None:
        """Release connections and files. Calls after it raise Unavailable."""
        ...


def check_key(key: str) -> None:
    """Raise InvalidKey unless ``key`` is one that every store accepts."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raise InvalidKey("a key has no lone surrogates", key=key) from None
    if not raw or len(raw) > KEY_LIMIT or b"\0" in raw:
        raise InvalidKey(f"a key has 1 to {KEY_LIMIT} bytes and no NUL", key=key)
    components = raw.split(b"/")
    if len(components) > COMPONENTS_LIMIT:
        raise InvalidKey(f"a key has at most {COMPONENTS_LIMIT} components", key=key)
    for component in components:
        if component in (b"", b".", b"..") or len(component) > COMPONENT_LIMIT:
            raise InvalidKey(
                f"a key's components have 1 to {COMPONENT_LIMIT} bytes and are not . or ..",
                key=key,
            )


def check_prefix(prefix: str) -> None:
    """Raise InvalidKey unless ``prefix`` is empty or a key followed by ``/``."""
    if prefix:
        if not prefix.endswith("/"):
            raise InvalidKey("a prefix ends in /", key=prefix)
        check_key(prefix[:-1])


def check_metadata(metadata: Metadata, *, key: str) -> None:
    """Raise TooLarge unless every store would keep ``metadata``."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > METADATA_LIMIT:
        raise TooLarge(f"{size} bytes of metadata, more than {METADATA_LIMIT}", key=key)


def check_part(number: int, *, key: str) -> None:
    """Raise TooLarge unless ``number`` is one a part may have."""
    if not 1 <= number <= PART_LIMIT:
        raise TooLarge(f"part {number} is not one of 1 to {PART_LIMIT}", key=key)
