"""The native library's control half, function by function (``native/uplink.h``).

It has the C ABI of Storj's libuplinkc, so that uplink-python 1.1.0.1 works on it, and tests
compare every structure here and there with uplink-python's own. The bridge's own calls are all
made from here, none through uplink-python's classes, because

- uplink-python frees nothing, and what it copied from is out of reach once it returns: each
  call loses an error, a text or a bucket for good (68 MB in 20,000 calls);
- it raises TypeError in the place of an error whose code it does not know, takes a listing that
  breaks off for a complete one, and has neither ``revoke_access`` nor a
  ``derive_encryption_key`` and an ``override_encryption_key`` that work.

Why this very version: docs/adr/0011-uplink-python.md.

Whatever the library hands out is copied and given back here, or by ``Owned`` at its end.
"""

from __future__ import annotations

import weakref
from ctypes import POINTER, Structure, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from functools import cache
from typing import Any

from bridge.store.storj.library import load


class _Handle(Structure):
    _fields_ = (("_handle", c_size_t),)


class AccessStruct(_Handle):
    """UplinkAccess."""


class ProjectStruct(_Handle):
    """UplinkProject."""


class EncryptionKeyStruct(_Handle):
    """UplinkEncryptionKey."""


class BucketIteratorStruct(_Handle):
    """UplinkBucketIterator."""


class ConfigStruct(Structure):
    """UplinkConfig: 0 milliseconds are uplink's own limit."""

    _fields_ = (
        ("user_agent", c_char_p),
        ("dial_timeout_milliseconds", c_int32),
        ("temp_directory", c_char_p),
    )


class PermissionStruct(Structure):
    """UplinkPermission: times in Unix seconds, 0 is no limit."""

    _fields_ = (
        ("allow_download", c_bool),
        ("allow_upload", c_bool),
        ("allow_list", c_bool),
        ("allow_delete", c_bool),
        ("not_before", c_int64),
        ("not_after", c_int64),
    )


class SharePrefixStruct(Structure):
    """UplinkSharePrefix."""

    _fields_ = (("bucket", c_char_p), ("prefix", c_char_p))


class BucketStruct(Structure):
    """UplinkBucket: created in Unix seconds."""

    _fields_ = (("name", c_char_p), ("created", c_int64))


class ListBucketsOptionsStruct(Structure):
    """UplinkListBucketsOptions."""

    _fields_ = (("cursor", c_char_p),)


class ErrorStruct(Structure):
    """UplinkError."""

    _fields_ = (("code", c_int32), ("message", c_char_p))


_Error = POINTER(ErrorStruct)


class AccessResult(Structure):
    """UplinkAccessResult."""

    _fields_ = (("access", POINTER(AccessStruct)), ("error", _Error))


class ProjectResult(Structure):
    """UplinkProjectResult."""

    _fields_ = (("project", POINTER(ProjectStruct)), ("error", _Error))


class BucketResult(Structure):
    """UplinkBucketResult."""

    _fields_ = (("bucket", POINTER(BucketStruct)), ("error", _Error))


class StringResult(Structure):
    """UplinkStringResult."""

    _fields_ = (("string", c_char_p), ("error", _Error))


class EncryptionKeyResult(Structure):
    """UplinkEncryptionKeyResult."""

    _fields_ = (("encryption_key", POINTER(EncryptionKeyStruct)), ("error", _Error))


_Access, _Project, _Key = (
    POINTER(AccessStruct),
    POINTER(ProjectStruct),
    POINTER(EncryptionKeyStruct),
)
_Iterator = POINTER(BucketIteratorStruct)

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "uplink_parse_access": (AccessResult, (c_char_p,)),
    "uplink_access_share": (
        *(AccessResult, (_Access, PermissionStruct, POINTER(SharePrefixStruct), c_size_t)),
    ),
    "uplink_access_serialize": (StringResult, (_Access,)),
    "bridge_access_facts": (StringResult, (_Access,)),
    "uplink_derive_encryption_key": (EncryptionKeyResult, (c_char_p, c_void_p, c_size_t)),
    "uplink_access_override_encryption_key": (_Error, (_Access, c_char_p, c_char_p, _Key)),
    "bridge_access_with_key_of": (AccessResult, (_Access, _Access, c_char_p, c_char_p)),
    "uplink_config_open_project": (ProjectResult, (ConfigStruct, _Access)),
    "uplink_close_project": (_Error, (_Project,)),
    "uplink_revoke_access": (_Error, (_Project, _Access)),
    "uplink_stat_bucket": (BucketResult, (_Project, c_char_p)),
    "uplink_create_bucket": (BucketResult, (_Project, c_char_p)),
    "bridge_create_bucket_at": (BucketResult, (_Project, c_char_p, c_char_p)),
    "bridge_bucket_facts": (StringResult, (_Project, c_char_p)),
    "uplink_delete_bucket": (BucketResult, (_Project, c_char_p)),
    "uplink_delete_bucket_with_objects": (BucketResult, (_Project, c_char_p)),
    "uplink_list_buckets": (_Iterator, (_Project, POINTER(ListBucketsOptionsStruct))),
    "uplink_bucket_iterator_next": (c_bool, (_Iterator,)),
    "uplink_bucket_iterator_item": (POINTER(BucketStruct), (_Iterator,)),
    "uplink_bucket_iterator_err": (_Error, (_Iterator,)),
    "uplink_free_error": (None, (_Error,)),
    "uplink_free_bucket": (None, (POINTER(BucketStruct),)),
    "uplink_free_bucket_iterator": (None, (_Iterator,)),
    "uplink_free_access_result": (None, (AccessResult,)),
    "uplink_free_project_result": (None, (ProjectResult,)),
    "uplink_free_bucket_result": (None, (BucketResult,)),
    "uplink_free_string_result": (None, (StringResult,)),
    "uplink_free_encryption_key_result": (None, (EncryptionKeyResult,)),
    "bridge_handles": (c_size_t, ()),
}


class Failed(Exception):
    """A call failed. ``code`` is one of ``native/uplink.h``, ``said`` are uplink's words."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code, said)
        self.code = code
        self.said = said


@cache
def _functions() -> dict[str, Any]:
    loaded = load()
    functions = {}
    for name, (result, arguments) in _SIGNATURES.items():
        function = loaded[name]
        function.restype, function.argtypes = result, arguments
        functions[name] = function
    return functions


def _call(name: str, *arguments: object) -> Any:
    return _functions()[name](*arguments)


def _raise(error: Any) -> None:
    """Raise Failed when ``error`` (a pointer) is one. It still belongs to who gave it."""
    if error:
        said = error.contents.message or b""
        raise Failed(error.contents.code, said.decode(errors="replace"))


def settle(error: Any) -> None:
    """Raise Failed when ``error`` (a pointer that a call returned) is one; it is given back."""
    try:
        _raise(error)
    finally:
        _call("uplink_free_error", error)


def do(name: str, *arguments: object) -> None:
    """Call what returns an error or nothing."""
    settle(_call(name, *arguments))


def text(name: str, *arguments: object) -> str:
    """Call what returns a text."""
    result = _call(name, *arguments)
    try:
        _raise(result.error)
        content: bytes = result.string
        return content.decode()
    finally:
        _call("uplink_free_string_result", result)


def bucket(name: str, *arguments: object) -> tuple[str, int]:
    """Call what returns a bucket: its name and when it was made, in Unix seconds."""
    result = _call(name, *arguments)
    try:
        _raise(result.error)
        return _described(result.bucket)
    finally:
        _call("uplink_free_bucket_result", result)


def buckets(project: Owned) -> list[tuple[str, int]]:
    """All buckets of a project that its grant may see, by name."""
    found = []
    iterator = _call("uplink_list_buckets", project.pointer, None)
    try:
        while _call("uplink_bucket_iterator_next", iterator):
            item = _call("uplink_bucket_iterator_item", iterator)
            try:
                found.append(_described(item))
            finally:
                _call("uplink_free_bucket", item)
        do("uplink_bucket_iterator_err", iterator)
    finally:
        _call("uplink_free_bucket_iterator", iterator)
    return found


def _described(pointer: Any) -> tuple[str, int]:
    return pointer.contents.name.decode(errors="replace"), pointer.contents.created


class Owned:
    """What a call handed out, for as long as this object lives: an access, a project, a key."""

    __slots__ = ("__weakref__", "pointer")

    def __init__(self, name: str, *arguments: object) -> None:
        result = _call(name, *arguments)
        free = f"uplink_free_{_OWNED[type(result)]}_result"
        try:
            _raise(result.error)
        except Failed:
            _call(free, result)
            raise
        self.pointer = getattr(result, _OWNED[type(result)])
        # Not at the interpreter's end, when the system takes all back.
        weakref.finalize(self, _call, free, result).atexit = False

    def __reduce__(self) -> str:
        raise TypeError("what the native library handed out cannot be copied")


_OWNED = {AccessResult: "access", ProjectResult: "project", EncryptionKeyResult: "encryption_key"}


def handles() -> int:
    """How many things the library has handed out and not got back."""
    count: int = _call("bridge_handles")
    return count
