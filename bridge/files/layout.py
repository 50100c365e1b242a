"""Where a vault's objects lie in the bucket: the keys of vault format 1."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

RECORD = "r"
"""Name of the custom metadata that holds an object's sealed record."""

ID_SIZE = 16
"""Bytes of a directory, object, copy or spill id."""


def id_text(raw: bytes) -> str:
    """An id as it stands in a key: base64url without padding (22 characters)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def id_bytes(text: str) -> bytes | None:
    """The id that ``text`` stands for, or None when it is not one."""
    try:
        raw = urlsafe_b64decode(text + "==")
    except ValueError:
        return None
    return raw if len(raw) == ID_SIZE and id_text(raw) == text else None


class Layout:
    """Keys under one vault prefix, which is ``""`` or ends in ``/``."""

    def __init__(self, prefix: str) -> None:
        if prefix and not prefix.endswith("/"):
            raise ValueError("a vault prefix ends in /")
        self.prefix = prefix
        self.directories = f"{prefix}d/"
        self.removals = f"{prefix}r/"
        self.intents = f"{prefix}c/"
        self.bodies = f"{prefix}o/"
        self.uploads = f"{prefix}u/"
        self.spills = f"{prefix}x/"

    def directory(self, directory: bytes) -> str:
        """The prefix of a directory's entries."""
        return f"{self.directories}{id_text(directory)}/"

    def entry(self, directory: bytes, sealed: str) -> str:
        """An entry, by its directory and sealed name."""
        return f"{self.directories}{id_text(directory)}/{sealed}"

    def removed(self, directory: bytes) -> str:
        """The entry of a removed directory, until the reaper is done with it."""
        return f"{self.removals}{id_text(directory)}"

    def intent(self, copy: bytes) -> str:
        """The intent of a running copy of a directory, by the id the copy will have."""
        return f"{self.intents}{id_text(copy)}"

    def body(self, object_id: bytes) -> str:
        """A body that stands apart from its entry."""
        return f"{self.bodies}{id_text(object_id)}"

    def spill(self, spill: bytes) -> str:
        """What spilled over from a record."""
        return f"{self.spills}{id_text(spill)}"
