"""Turns what the layers below raise into what doors understand."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from bridge.crypto.errors import CryptoError, Unconfirmed
from bridge.files import errors
from bridge.state import api as state
from bridge.store import api as store

_P = ParamSpec("_P")
_R = TypeVar("_R")

_MEANINGS: tuple[tuple[type[Exception], type[errors.FileError], str], ...] = (
    (store.Forbidden, errors.StorageForbidden, "the store does not allow this"),
    (store.OutOfSpace, errors.StorageFull, "there is no room left in the store"),
    (store.RateLimited, errors.StorageUnavailable, "the store is overloaded; try again"),
    (store.TooLarge, errors.FileTooLarge, "the store cannot hold something this large"),
    (store.Damaged, errors.DamagedFile, "what is stored here is damaged"),
    (store.Changed, errors.Busy, "somebody else changed this meanwhile; try again"),
    (store.Exists, errors.Busy, "somebody else made this meanwhile; try again"),
    (store.NotFound, errors.NoSuchFile, "it was removed meanwhile"),
    (store.StoreError, errors.StorageUnavailable, "the store did not answer; try again"),
    (state.LeaseBusy, errors.Busy, "somebody else is working on this; try again"),
    (state.StateFull, errors.StorageFull, "the disk of the state database is full"),
    (state.StateError, errors.StorageUnavailable, "the state database did not answer; try again"),
    (Unconfirmed, errors.StorageUnavailable, "the newest keys are not known; try again"),
    (CryptoError, errors.DamagedFile, "what is stored here does not open"),
)


def translate(error: Exception) -> errors.FileError:
    """The FileError that says what ``error`` means to a user of files."""
    for kind, meaning, words in _MEANINGS:
        if isinstance(error, kind):
            return meaning(words)
    raise TypeError(f"no meaning for {type(error).__name__}") from error


def translated(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make ``method`` raise FileError where a layer below fails."""

    @wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return method(*args, **kwargs)
        except (store.StoreError, state.StateError, CryptoError) as error:
            raise translate(error) from error

    return call
