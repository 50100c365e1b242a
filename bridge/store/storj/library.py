"""Loads the native library: once a process, and for uplink-python too.

The library holds a Go runtime, which does not survive a fork: in a child that was forked after
the loading, every call of it raises Forked, where otherwise it would wait for threads that are
not there. Start workers first (or by spawn), then load.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Any

from uplink_python.uplink import Uplink

LIBRARY = Path(__file__).parent / "native" / "built" / "libuplinkc.so"
"""Where the build hook leaves it, in a checkout as in a wheel; named so on every system."""


class LibraryError(Exception):
    """The native library cannot be used; the message says why and what to do."""


class NotInstalled(LibraryError):
    """The bridge was installed without its native library, so it cannot speak to Storj."""


class Forked(LibraryError):
    """This process was forked from one that had loaded the library, and cannot use it."""


class _Library(ctypes.CDLL):
    """The library, whose functions know when their process is a forked child."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        made = self._FuncPtr

        class Function(made):  # type: ignore[valid-type, misc] # one for each library
            _flags_ = made._flags_
            _restype_ = made._restype_

            def __call__(self, *arguments: Any) -> Any:
                if _state.forked:
                    raise _forked()
                return super().__call__(*arguments)

        self._FuncPtr = Function


class _State:
    """What this process knows of the library."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.library: _Library | None = None
        self.has_go = False
        self.forked = False

    def after_fork(self) -> None:
        """In a forked child: the lock may be one that a thread held which is not here."""
        self.lock = threading.Lock()
        self.forked = self.has_go


_state = _State()
os.register_at_fork(after_in_child=_state.after_fork)


def load() -> ctypes.CDLL:
    """The native library, loaded at the first call and given to uplink-python.

    Raises NotInstalled, Forked, or LibraryError when it is there and does not load.
    """
    if _state.forked:
        raise _forked()
    with _state.lock:
        if _state.library is None:
            if not LIBRARY.is_file():
                raise NotInstalled(
                    f"the bridge was installed without its Storj library ({LIBRARY} is missing): "
                    "install it again, without STORJ_BRIDGE_WITHOUT_STORJ in the environment"
                )
            _state.has_go = True  # before: another thread may fork in the middle of it
            try:
                library = _Library(LIBRARY)
            except OSError as problem:
                _state.has_go = False
                raise LibraryError(f"the Storj library does not load: {problem}") from problem
            _give_to_uplink_python(library)
            _state.library = library
        return _state.library


def _give_to_uplink_python(library: ctypes.CDLL) -> None:
    """Make this the library that every ``Uplink()`` takes, which looks for one of its own else.

    uplink-python 1.1.0.1 keeps the first ``Uplink`` made in a private class attribute, and later
    ones take their ``m_libuplink`` from it.
    """
    if vars(Uplink).get("_Uplink__instance", Uplink) is not None:
        raise LibraryError(
            "uplink-python is not the version that the bridge asks for, or has loaded a library of "
            "its own: the bridge must be the first to use it"
        )
    first = object.__new__(Uplink)
    first.m_libuplink = library
    Uplink._Uplink__instance = first  # noqa: SLF001 - the only way in
    if Uplink().m_libuplink is not library:
        raise LibraryError(
            "uplink-python is not the version that the bridge asks for, whose library it does not "
            "take"
        )


def _forked() -> Forked:
    return Forked(
        "this process was forked after the Storj library was loaded, which Go does not survive: "
        "load it after forking, or start processes by spawn"
    )
