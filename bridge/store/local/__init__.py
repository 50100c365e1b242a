"""A store in a folder of the local disk, durable and without a database.

The data's way: ``store`` is the ObjectStore; it turns keys into paths (``layout``), writes
``files`` of one header and content each (``header``), in ``directories`` that it makes and
removes as needed, and lists them (``listing``). What is not yet an object lies in ``scratch``
or belongs to a ``multipart`` upload. Every change of the disk goes through ``disk``.

What it needs of the file system: atomic rename, hard links, flock, and an fsync that
reaches the disk. ext4, XFS, btrfs, APFS and ZFS have them. On a full disk what frees room goes
on, by the room that ``spare`` holds.
"""

from bridge.store.local.store import LocalStore

__all__ = ["LocalStore"]
