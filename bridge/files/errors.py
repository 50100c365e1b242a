"""What can go wrong with a file, one class for each meaning. Doors map classes to statuses."""

from __future__ import annotations


class FileError(Exception):
    """An operation on the tree failed; the message says what, to what, and what to do."""


class InvalidPath(FileError):
    """The client's path or name cannot be one of this tree's."""


class NoSuchFile(FileError):
    """Nothing is at this path."""


class NoSuchParent(FileError):
    """The folder that should hold the path is missing (or was deleted meanwhile)."""


class AlreadyExists(FileError):
    """Something is at the path, and the operation needs it free."""


class IsDirectory(FileError):
    """The operation needs a file, and a folder is there."""


class NotDirectory(FileError):
    """The operation needs a folder, and a file is there."""


class IntoItself(FileError):
    """A folder cannot be moved or copied into itself, nor onto its own ancestor."""


class RootRefused(FileError):
    """The root cannot be deleted, moved or replaced."""


class ContentChanged(FileError):
    """The file is no longer the version the caller named."""


class Busy(FileError):
    """Somebody else works on the same name, and the time to wait is over; try again."""


class PropertiesTooLarge(FileError):
    """The dead properties of one resource together exceed what it may hold."""


class FileTooLarge(FileError):
    """The content exceeds what the tree can hold under these circumstances."""


class StorageFull(FileError):
    """Neither store nor quota has room."""


class NotAllowed(FileError):
    """Who asks may not do this here."""


class StorageForbidden(FileError):
    """The store's authority does not allow this."""


class StorageUnavailable(FileError):
    """Store or state cannot be reached, or took too long; the operation may be retried."""


class DamagedFile(FileError):
    """What is stored does not open: tampered with, cut, or written under another key."""
