"""Publishing a file: the one way content enters the tree."""

from __future__ import annotations

from bridge.crypto.record import Kind, Record
from bridge.files.api import Buffer, Entry, Guard, no_guard
from bridge.files.change import StaleError
from bridge.files.content import ContentWriter
from bridge.files.errors import Busy, DamagedFile, IsDirectory, NoSuchParent
from bridge.files.layout import RECORD
from bridge.files.node import shown_name
from bridge.files.translate import translated
from bridge.files.vault import Vault
from bridge.files.walk import Fate, Place
from bridge.store.api import Exists


class VaultWriter:
    """A ``Writer``. The lease on the name is taken at commit only, so slow uploads block nobody.

    ``body``: the object id under which the body stands apart, or empty.
    """

    def __init__(
        self,
        vault: Vault,
        place: Place,
        content: ContentWriter,
        *,
        body: bytes,
        content_type: str,
        mtime: float | None,
    ) -> None:
        self._vault = vault
        self._place = place
        self._content = content
        self._body = body
        self._content_type = content_type
        self._mtime = mtime

    @translated
    def write(self, data: Buffer) -> None:
        """Append ``data``; see ``bridge.files.api.Writer``."""
        self._content.write(data)

    def abort(self) -> None:
        """Throw the upload away."""
        self._content.upload.abort()

    @translated
    def commit(self, guard: Guard = no_guard) -> tuple[Entry, bool]:
        """Publish; see ``bridge.files.api.Writer``."""
        try:
            self._content.finish()
            return self._publish(guard)
        except StaleError:
            self.abort()
            raise NoSuchParent("the folder was moved or deleted meanwhile") from None
        except BaseException:
            self.abort()
            raise

    def _publish(self, guard: Guard) -> tuple[Entry, bool]:
        vault, place = self._vault, self._place
        with vault.changes.hold(place) as change:
            old = change.look(place)
            if old is not None and old.directory_id is not None:
                raise IsDirectory(f"{place.name!r} is a folder")
            guard(None if old is None else old.entry)
            old_record = old.record if old is not None else None
            if old is not None and old_record is None:
                raise DamagedFile(f"what is at {place.name!r} is damaged; it can only be deleted")
            change.begin()
            record, sealed = self._seal(old_record)
            version = self._commit(record, sealed, free=old is None)
            node = vault.node(place, record, version)
            fate = vault.walker.fate(place)
            if fate is not Fate.LINKED:
                if old is not None and fate is Fate.MOVED:
                    # The old content is gone, and the folder may live on elsewhere.
                    raise Busy("the folder was moved while the file was being replaced; look again")
                vault.store.delete(place.key)
                vault.extras.discard(record)
                vault.extras.discard(old_record)
                raise NoSuchParent("the folder was moved or deleted meanwhile")
            change.became(place, node)
        vault.extras.discard(old_record, kept=record)
        return node.entry, old is None

    def _seal(self, old: Record | None) -> tuple[Record, str]:
        """The new record, and it sealed. What belongs to the name stays: look, age, properties."""
        vault, place, sealer = self._vault, self._place, self._content.sealer
        now = vault.clock()
        name = place.name if old is None else shown_name(place.norm, old)
        record = Record(
            kind=Kind.FILE,
            object_id=self._body or vault.new_id(),
            size=sealer.size,
            mtime=now if self._mtime is None else self._mtime,
            created=now if old is None else old.created,
            etag=vault.new_etag(),
            content_type=self._content_type,
            file_key=sealer.file_key,
            payload_nonce=sealer.payload_nonce,
            shown_name=name if name != place.norm else "",
            body=self._body,
        )
        return vault.extras.seal(record, {} if old is None else vault.extras.properties(old))

    def _commit(self, record: Record, sealed: str, *, free: bool) -> str:
        """Publish content and record; where the place was free, only if it still is."""
        vault, place = self._vault, self._place
        if self._body:
            self._content.upload.commit({})
            return vault.put_record(place.key, record, sealed, free=free)
        try:
            info = self._content.upload.commit({RECORD: sealed}, if_absent=free)
        except Exists:
            version = vault.version_if_ours(place.key, record.object_id)
            if version is None:
                raise
            return version
        return info.version
