"""What the native library's error codes mean for a grant, in sentences for an admin.

The data plane's meanings are in ``errors``: there an object is what matters.
"""

from __future__ import annotations

from typing import NoReturn

from bridge.store.storj import control

SENTENCES = {
    0x03: "the call was stopped: the project is closed",
    0x04: "the native library does not know what it was asked about",
    0x05: "the satellite gets too many requests",
    0x06: "the project's bandwidth limit is reached",
    0x07: "the project's storage limit is reached",
    0x08: "the project's limit of segments is reached",
    0x09: "the access grant does not allow this, was revoked, or never existed",
    0x10: "Storj does not accept this as a bucket's name",
    0x11: "there is a bucket of this name",
    0x12: "the bucket is not empty",
    0x13: "there is no bucket of this name",
    0x100: "the satellite did not answer in time",
    0x101: "the satellite cannot be reached",
    0x102: "the satellite cannot serve now",
    0x104: "another computer than the satellite the access grant names answered at its address",
    0x105: "the satellite cannot read the API key of the access grant",
    0x106: "this is not an access grant",
    0x107: "this cannot be done with an access grant",
    0x10B: "the project may have no more buckets",
}
"""What the codes of ``native/uplink.h`` mean to an admin."""


class GrantError(Exception):
    """What was asked of a grant, or with it, does not work; the message tells an admin why.

    ``code`` is the native library's, 0 where it was not asked.
    """

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class NotAGrant(GrantError):
    """The text is not an access grant, or not all of one."""


class BucketNotFound(GrantError):
    """There is no such bucket in the grant's project."""


class BucketExists(GrantError):
    """There is such a bucket already."""


class BucketNotEmpty(GrantError):
    """The bucket has objects in it, or gets some right now."""


class Denied(GrantError):
    """The grant does not allow it: not at all, not now, or no longer."""


_KINDS: dict[int, type[GrantError]] = {
    0x09: Denied,
    0x11: BucketExists,
    0x12: BucketNotEmpty,
    0x13: BucketNotFound,
    0x106: NotAGrant,
}


def fail(failed: control.Failed, *, because: str = "") -> NoReturn:
    """Raise what ``failed`` means, ``because`` in the place of the sentence for its code."""
    sentence = because or SENTENCES.get(failed.code, "Storj's library failed")
    said, _, trace = failed.said.partition("\n")
    error = _KINDS.get(failed.code, GrantError)(f"{sentence} ({said})", code=failed.code)
    if trace:
        error.add_note(trace)
    try:
        raise error from None
    finally:
        del error  # else its traceback holds this frame, which holds it, and all on the way


def c_text(text: str, what: str) -> bytes:
    """``text`` for C. A NUL would end it there: a prefix would be cut to a wider one."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise GrantError(f"{what} is not Unicode") from None
    if b"\0" in encoded:
        raise GrantError(f"{what} has a NUL in it")
    return encoded
