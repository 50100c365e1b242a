"""What the native library's error codes mean to whoever uses a store (``native/uplink.h``)."""

from __future__ import annotations

from bridge.store.api import (
    Changed,
    Damaged,
    Exists,
    Forbidden,
    InvalidKey,
    NotFound,
    OutOfSpace,
    RateLimited,
    StoreError,
    TooLarge,
    TooSmall,
    Unavailable,
    UploadBroken,
)

_MEANINGS: dict[int, tuple[type[StoreError], str]] = {
    0x03: (Unavailable, "the call was stopped"),
    0x04: (Unavailable, "the store is closed"),
    0x05: (RateLimited, "the satellite gets too many requests"),
    0x06: (RateLimited, "the project's bandwidth limit is reached"),
    0x07: (OutOfSpace, "the project's storage limit is reached"),
    0x08: (OutOfSpace, "the project's limit of segments is reached"),
    0x09: (Forbidden, "the access grant does not allow this"),
    0x10: (Unavailable, "the bucket's name is invalid"),
    # Never NotFound: files would look deleted where the bucket is gone, or misspelt.
    0x13: (Unavailable, "the bucket does not exist"),
    0x20: (InvalidKey, "Storj does not accept the key"),
    0x21: (NotFound, "no such object"),
    0x22: (UploadBroken, "the upload is over"),
    0x100: (Unavailable, "no answer in time"),
    0x101: (Unavailable, "the network failed"),
    0x102: (Unavailable, "the satellite cannot serve now"),
    0x103: (Unavailable, "too few storage nodes answered"),
    0x104: (Forbidden, "this is not the satellite of the access grant"),
    0x105: (Forbidden, "the satellite does not accept the access grant"),
    0x106: (Forbidden, "this is not an access grant"),
    0x107: (InvalidKey, "Storj does not accept an argument"),
    0x108: (Exists, "an object is there"),
    # The only precondition this store names is that nothing be there.
    0x109: (Exists, "an object is there"),
    0x10A: (TooLarge, "Storj does not keep so much metadata"),
    0x10C: (NotFound, "no such upload"),
    0x10D: (Forbidden, "the object is locked"),
    0x10E: (Damaged, "the object does not decrypt with this access grant"),
    0x110: (Changed, "the object was changed meanwhile"),
    0x111: (TooSmall, "a part that is not the last is too small"),
}


def meaning(code: int, said: str, *, key: str = "") -> StoreError:
    """The error for ``code``; ``said`` is what Storj's own library says of it."""
    kind, words = _MEANINGS.get(code, (Unavailable, "Storj's library failed"))
    return kind(f"{words} ({said})" if said else words, key=key)
