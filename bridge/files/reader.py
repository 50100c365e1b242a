"""Opening a file: the one way content leaves the tree.

No lease is held, so that readers wait for nobody. What an entry names beside itself may be gone
when it is asked for, since whoever replaces an entry then removes that: then the entry is looked
up again, and only one that still names what is missing is damaged.
"""

from __future__ import annotations

from bridge.crypto.body import HEADER_SIZE, sealed_size, span
from bridge.crypto.record import Kind, Record
from bridge.files.api import Reader
from bridge.files.change import looking_again
from bridge.files.content import ContentReader
from bridge.files.errors import (
    ContentChanged,
    DamagedFile,
    IsDirectory,
    NoSuchFile,
    NoSuchParent,
)
from bridge.files.path import Path
from bridge.files.vault import Vault
from bridge.files.walk import Place
from bridge.store.api import Download, NotFound

_BOUNDLESS = 1 << 62


@looking_again
def open_file(
    vault: Vault, path: Path, offset: int, length: int | None, *, etag: str | None
) -> Reader:
    """See ``FileTree.open``. Raises Busy for a file that is replaced again and again."""
    try:
        place = vault.walker.place(path)
    except NoSuchParent as error:
        raise NoSuchFile(str(error)) from None
    # The size is known only with the record: ask for whole chunks, the store cuts at the end.
    guess = span(offset, _BOUNDLESS if length is None else length, _BOUNDLESS)
    most = None if length is None else guess.sealed_length
    try:
        download = vault.acting.get(place.key, guess.sealed_offset, most)
    except NotFound:
        raise NoSuchFile(f"nothing is at {path}") from None
    try:
        node = vault.nodes.from_info(place.norm, download.info)
        record = node.record
        if record is None:
            raise DamagedFile(f"{path} is damaged: its record does not open")
        if record.kind is Kind.DIRECTORY:
            raise IsDirectory(f"{path} is a folder")
        if etag is not None and etag != record.etag:
            raise ContentChanged(f"{path} has changed")
        if record.body:
            download.close()
            download = _open_body(vault, place, record, guess.sealed_offset, most)
        if download.info.size != HEADER_SIZE + sealed_size(record.size):
            raise DamagedFile(f"{path} is damaged: its size is not what its record says")
        take = record.size - offset if length is None else length
        exact = span(offset, max(take, 0), record.size)
        opener = vault.keys.body_opener(record.file_key, record.payload_nonce, record.size)
        return ContentReader(node.entry, download, opener, exact)
    except BaseException:
        download.close()
        raise


def _open_body(
    vault: Vault, place: Place, record: Record, offset: int, length: int | None
) -> Download:
    """Open a body that stands apart. Raises StaleError when its entry has another one by now."""
    try:
        return vault.acting.get(vault.layout.body(record.body), offset, length)
    except NotFound:
        vault.check_names_extras(place, record)
        raise DamagedFile(f"{place.name!r} is damaged: its content is missing") from None
