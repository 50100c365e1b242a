"""The native library's data plane, function by function (``native/data_*.go``).

A call frees the interpreter's lock while it runs, lasts at most as long as it may, and raises a
StoreError. What the library hands out is copied and given back here.
"""

from __future__ import annotations

import ctypes
import struct
import weakref
from collections.abc import Iterator, Sequence
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from functools import cache
from typing import Any

from bridge.store import deadline
from bridge.store.api import (
    Buffer,
    Metadata,
    MultipartInfo,
    ObjectInfo,
    PartInfo,
    Unavailable,
)
from bridge.store.storj import control
from bridge.store.storj.errors import meaning
from bridge.store.storj.library import load


class _Bytes(ctypes.Structure):
    _fields_ = (("data", c_void_p), ("size", c_size_t))


class _Options(ctypes.Structure):
    _fields_ = (
        ("user_agent", c_char_p),
        ("call_ms", c_int64),
        ("segments_at_once", c_int32),
    )


_Handle = c_size_t
_NewHandle = POINTER(c_size_t)
_Out = POINTER(_Bytes)
_Text = (c_char_p, c_size_t)
_Data = (c_void_p, c_size_t)
_Time = c_int64

_CAN_FAIL: dict[str, tuple[Any, ...]] = {
    "open": (c_char_p, c_char_p, POINTER(_Options), _NewHandle),
    "stat": (_Handle, c_char_p, _Time, _Out),
    "set_metadata": (_Handle, c_char_p, *_Text, c_char_p, _Time),
    "move": (_Handle, c_char_p, c_char_p, _Time),
    "copy": (_Handle, c_char_p, c_char_p, c_bool, _Time, _Out),
    "delete": (_Handle, *_Text, _Time),
    "list": (_Handle, c_char_p, c_bool, *_Text, c_int32, _Time, _Out, _Out),
    "cursor": (_Handle, c_char_p, c_char_p, _Out),
    "put": (_Handle, c_char_p, *_Data, *_Text, c_bool, _Time, _Out),
    "create_multipart": (_Handle, c_char_p, _Time, _Out),
    "complete_multipart": (_Handle, c_char_p, c_char_p, *_Text, c_bool, _Time, _Out),
    "abort_multipart": (_Handle, c_char_p, c_char_p, _Time),
    "list_parts": (_Handle, c_char_p, c_char_p, _Time, _Out),
    "list_multiparts": (_Handle, c_char_p, _Time, _Out),
    "put_part": (_Handle, c_char_p, c_char_p, c_uint32, _Time, _NewHandle),
    "write": (_Handle, *_Data, _Time),
    "commit_part": (_Handle, *_Text, _Time),
    "get": (_Handle, c_char_p, c_int64, c_int64, _Time, _NewHandle, _Out),
    "read": (_Handle, *_Data, _Time, POINTER(c_size_t)),
}
_CANNOT_FAIL = ("close", "stop", "abort_part", "close_download")


class Library:
    """The functions of the loaded library."""

    def __init__(self) -> None:
        loaded = load()
        self._failing = {}
        for name, arguments in _CAN_FAIL.items():
            function = loaded[f"bridge_{name}"]
            function.argtypes, function.restype = arguments, POINTER(control.ErrorStruct)
            self._failing[name] = function
        self._ending = {}
        for name in _CANNOT_FAIL:
            function = loaded[f"bridge_{name}"]
            function.argtypes, function.restype = (_Handle,), None
            self._ending[name] = function
        self._free = loaded.bridge_free
        self._free.argtypes, self._free.restype = (_Bytes,), None

    def call(self, name: str, *arguments: object, key: str = "") -> None:
        """Call a function; raises the StoreError it returns, about ``key``."""
        failed = self._failing[name](*arguments)
        if failed:
            try:
                control.settle(failed)
            except control.Failed as error:
                raise meaning(error.code, error.said, key=key) from None

    def end(self, name: str, handle: int) -> None:
        """Call a function that takes a handle and cannot fail."""
        self._ending[name](handle)

    def take(self, given: _Bytes) -> bytes:
        """The bytes a call handed out, which are given back."""
        if not given.data:
            return b""
        try:
            return ctypes.string_at(given.data, given.size)
        finally:
            self._free(given)


@cache
def _library() -> Library:
    """Made once: it declares each function to ctypes."""
    return Library()


def limit_memory(size: int, spare_segments: int) -> None:
    """Say what all stores of this process may hold together; see ``native/memory.go``."""
    limit = load().bridge_limit_memory
    limit.argtypes, limit.restype = (c_int64, c_int64), None
    limit(size, spare_segments)


class Bucket:
    """One bucket, opened with an access grant. ``seconds``: how long a call may last at most.

    Opening asks nobody. What the library holds for it goes with ``close``, or with this object,
    which uploads and downloads keep; connections are shared by all of them.
    """

    def __init__(
        self, grant: str, name: str, *, user_agent: str, segments_at_once: int, seconds: float
    ) -> None:
        self.library = _library()
        self._seconds = seconds
        options = _Options(user_agent.encode(), int(seconds * 1000), segments_at_once)
        handle = c_size_t()
        self.library.call("open", grant.encode(), name.encode(), byref(options), byref(handle))
        self._handle = handle.value
        self._end = weakref.finalize(self, self.library.end, "close", self._handle)
        self._end.atexit = False  # then the system takes all back

    def close(self) -> None:
        """End all calls. Those made after it raise Unavailable."""
        self._end()

    def time(self, key: str = "") -> int:
        """Milliseconds that a call made now may last. Raises Unavailable when there are none."""
        if not self._end.alive:
            raise Unavailable("the store is closed", key=key)
        deadline.check(key)
        left = deadline.remaining()
        return int(1000 * (self._seconds if left is None else min(left, self._seconds))) or 1

    def _call(self, name: str, *arguments: object, key: str = "") -> None:
        self.library.call(name, self._handle, *arguments, key=key)

    def _ask(self, name: str, *arguments: object, key: str = "") -> bytes:
        """Call what hands out bytes."""
        found = _Bytes()
        self._call(name, *arguments, byref(found), key=key)
        return self.library.take(found)

    def stat(self, key: str) -> ObjectInfo:
        return decoded(self._ask("stat", key.encode(), self.time(key), key=key))

    def set_metadata(self, key: str, metadata: Metadata, version: str) -> None:
        pairs = _pairs(metadata)
        self._call(
            *("set_metadata", key.encode(), pairs, len(pairs), version.encode(), self.time(key)),
            key=key,
        )

    def move(self, src: str, dst: str) -> None:
        self._call("move", src.encode(), dst.encode(), self.time(src), key=src)

    def copy(self, src: str, dst: str, *, if_absent: bool) -> ObjectInfo:
        arguments = (src.encode(), dst.encode(), if_absent, self.time(src))
        return decoded(self._ask("copy", *arguments, key=src))

    def delete(self, keys: Sequence[str]) -> None:
        texts = b"".join(map(_text, keys))
        self._call("delete", texts, len(texts), self.time(keys[0]), key=keys[0])

    def page(
        self, prefix: str, cursor: bytes, *, recursive: bool, limit: int
    ) -> tuple[list[ObjectInfo], bytes]:
        """Some entries, and the cursor of those after them: empty when there are none."""
        entries, following = _Bytes(), _Bytes()
        place = (prefix.encode(), recursive, cursor, len(cursor), limit, self.time(prefix))
        self._call("list", *place, byref(entries), byref(following), key=prefix)
        return list(_entries(self.library.take(entries))), self.library.take(following)

    def cursor(self, prefix: str, key: str) -> bytes:
        """Where a listing of ``prefix`` goes on after ``key``."""
        return self._ask("cursor", prefix.encode(), key.encode(), key=key)

    def put(self, key: str, content: Buffer, metadata: Metadata, *, if_absent: bool) -> ObjectInfo:
        pairs = _pairs(metadata)
        size = len(content)
        arguments = (address(content), size, pairs, len(pairs), if_absent, self.time(key))
        return decoded(self._ask("put", key.encode(), *arguments, key=key))

    def create_multipart(self, key: str) -> str:
        return self._ask("create_multipart", key.encode(), self.time(key), key=key).decode()

    def complete_multipart(
        self, key: str, upload_id: str, metadata: Metadata, *, if_absent: bool
    ) -> ObjectInfo:
        pairs = _pairs(metadata)
        arguments = (key.encode(), upload_id.encode(), pairs, len(pairs), if_absent)
        return decoded(self._ask("complete_multipart", *arguments, self.time(key), key=key))

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self._call("abort_multipart", key.encode(), upload_id.encode(), self.time(key), key=key)

    def list_parts(self, key: str, upload_id: str) -> list[PartInfo]:
        arguments = (key.encode(), upload_id.encode(), self.time(key))
        left = self._ask("list_parts", *arguments, key=key)
        parts = []
        while left:
            number, size = struct.unpack_from("<Iq", left)
            etag, left = _take_text(left[12:])
            parts.append(PartInfo(number, size, etag))
        return parts

    def list_multiparts(self, prefix: str) -> list[MultipartInfo]:
        left = self._ask("list_multiparts", prefix.encode(), self.time(prefix), key=prefix)
        uploads = []
        while left:
            (started,) = struct.unpack_from("<q", left)
            key, left = _take_text(left[8:])
            upload_id, left = _take_text(left)
            uploads.append(MultipartInfo(key, upload_id, started / 1e6))
        return uploads

    def put_part(self, key: str, upload_id: str, number: int) -> int:
        """Begin a part; returns its handle, for ``write``, ``commit_part`` and ``abort_part``."""
        handle = c_size_t()
        arguments = (key.encode(), upload_id.encode(), number, self.time(key), byref(handle))
        self._call("put_part", *arguments, key=key)
        return handle.value

    def write(self, part: int, data: Buffer, key: str) -> None:
        self.library.call("write", part, address(data), len(data), self.time(key), key=key)

    def commit_part(self, part: int, etag: str, key: str) -> None:
        text = etag.encode()
        self.library.call("commit_part", part, text, len(text), self.time(key), key=key)

    def get(self, key: str, offset: int, length: int | None) -> tuple[int, ObjectInfo]:
        """Open a download; returns its handle, for ``read`` and ``close_download``."""
        handle, found = c_size_t(), _Bytes()
        part = (offset, -1 if length is None else length, self.time(key))
        self._call("get", key.encode(), *part, byref(handle), byref(found), key=key)
        return handle.value, decoded(self.library.take(found))

    def read(self, download: int, buffer: memoryview, key: str) -> int:
        count = c_size_t()
        place = (address(buffer), len(buffer), self.time(key))
        self.library.call("read", download, *place, byref(count), key=key)
        return count.value


def address(data: Buffer) -> object:
    """What ctypes takes as the address of ``data``, for as long as it is kept."""
    view = memoryview(data)
    if not view:
        return None
    if view.readonly:
        return data if isinstance(data, bytes) else view.tobytes()
    return (ctypes.c_char * len(view)).from_buffer(view)


_ENTRY = struct.Struct("<BqqB")
_PREFIX, _DAMAGED = 1, 2


def decoded(entry: bytes) -> ObjectInfo:
    """The one entry in ``entry``."""
    (info,) = _entries(entry)
    return info


def _entries(left: bytes) -> Iterator[ObjectInfo]:
    position = 0
    while position < len(left):
        kind, size, modified, version_size = _ENTRY.unpack_from(left, position)
        position += _ENTRY.size
        version = left[position : position + version_size].decode()
        position += version_size
        key, position = _text_at(left, position)
        (pairs,) = struct.unpack_from("<H", left, position)
        position += 2
        metadata = {}
        for _ in range(pairs):
            name, position = _text_at(left, position)
            metadata[name], position = _text_at(left, position)
        if kind == _PREFIX:
            yield ObjectInfo(key, is_prefix=True)
        else:
            known = None if kind == _DAMAGED else metadata
            yield ObjectInfo(key, size, modified / 1e6, version, known)


def _text_at(data: bytes, position: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<H", data, position)
    end = position + 2 + size
    return data[position + 2 : end].decode(), end


def _take_text(data: bytes) -> tuple[str, bytes]:
    text, end = _text_at(data, 0)
    return text, data[end:]


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<H", len(data)) + data


def _pairs(metadata: Metadata) -> bytes:
    items = b"".join(_text(name) + _text(value) for name, value in metadata.items())
    return struct.pack("<H", len(metadata)) + items
