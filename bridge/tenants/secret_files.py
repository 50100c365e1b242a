"""Files that hold one secret each: text on one line, for the owner's eyes only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LONGEST = 4_096
"""Most bytes of such a file: more is some other file named by mistake."""


class SecretFileError(Exception):
    """The file cannot be used; the message names it and says why, never what it holds."""


def read_secret(file: Path) -> str:
    """The secret in ``file``, without white space around it. Raises SecretFileError."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LONGEST + 1)
        text = content.decode().strip()
    except OSError as error:
        raise SecretFileError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretFileError(f"{file}: not text") from None
    if not text:
        raise SecretFileError(f"{file}: empty")
    if len(content) > LONGEST:
        raise SecretFileError(f"{file}: larger than {LONGEST} bytes")
    return text


def read_or_make(file: Path, make: Callable[[], str]) -> str:
    """The secret in ``file``; made there if it is missing, durably and with mode 0600.

    Whoever comes first makes it: two processes at once get the same one. It appears whole or
    not at all. Raises SecretFileError, OSError.
    """
    if not file.exists():
        descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(make().encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            with suppress(FileExistsError):
                os.link(draft, file)
            _sync_folder(file.parent)
        finally:
            Path(draft).unlink(missing_ok=True)
    return read_secret(file)


def is_private(file: Path) -> bool:
    """Whether only its owner can read it."""
    return file.stat().st_mode & 0o077 == 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
