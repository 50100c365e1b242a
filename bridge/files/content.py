"""Reading and writing the content of files, a block at a time, encrypted on the way.

Memory does not grow with the file: one block of ciphertext and one of plaintext.
"""

from __future__ import annotations

from bridge.crypto.body import (
    CHUNK,
    HEADER_SIZE,
    SEALED_CHUNK,
    BodyOpener,
    BodySealer,
    Span,
    sealed_size,
)
from bridge.files.api import Buffer, Entry
from bridge.files.errors import Busy, DamagedFile, FileTooLarge
from bridge.files.translate import translated
from bridge.store.api import Download, NotFound, Upload
from bridge.store.closing import Closing

STANDALONE = 8_000 * 64 * 1024 * 1024
"""Bodies from this size (sealed bytes) stand apart from their entry: Storj moves and copies at
most 10,000 segments of 64 MiB on the server side, and an entry must stay movable."""


def stored_size(size: int) -> int:
    """Bytes that ``size`` bytes of content take in the store: a header, and the sealed chunks."""
    return HEADER_SIZE + sealed_size(size)


class ContentReader(Closing):
    """A ``Reader`` over a range of one body."""

    def __init__(self, entry: Entry, download: Download, opener: BodyOpener, span: Span) -> None:
        self._entry = entry
        self._download = download
        self._opener = opener
        self._chunk = span.first_chunk
        self._skip = span.skip
        self._left = span.take
        self._sealed_left = span.sealed_length
        self._sealed = memoryview(b"")

    @property
    def entry(self) -> Entry:
        """The file whose content this is."""
        return self._entry

    @translated
    def read(self, size: int) -> Buffer:
        """The next bytes of the range; see ``bridge.files.api.Reader``."""
        try:
            return self._read(size)
        except NotFound:
            raise Busy(
                "the file was replaced or removed while it was read; read it again"
            ) from None

    def _read(self, size: int) -> Buffer:
        if self._left <= 0:
            return b""
        wanted = min(size, self._left) + self._skip
        sealed_size = min(self._sealed_left, -(-wanted // CHUNK) * SEALED_CHUNK)
        if len(self._sealed) < sealed_size:
            self._sealed = memoryview(bytearray(sealed_size))
        block = self._sealed[:sealed_size]
        filled = 0
        while filled < sealed_size:
            count = self._download.readinto(block[filled:])
            if count == 0:
                raise DamagedFile("the stored content is cut short")
            filled += count
        plain: Buffer = self._opener.open(block, self._chunk)
        self._sealed_left -= sealed_size
        self._chunk += -(-sealed_size // SEALED_CHUNK)
        if self._skip or len(plain) - self._skip > self._left:
            plain = memoryview(plain)[self._skip : self._skip + self._left]
            self._skip = 0
        self._left -= len(plain)
        return plain

    def close(self) -> None:
        """Release the download."""
        self._download.close()


class ContentWriter:
    """Seals plaintext into an uncommitted upload; ``VaultTree`` publishes it."""

    def __init__(self, sealer: BodySealer, upload: Upload, limit: int) -> None:
        self.sealer = sealer
        self.upload = upload
        self._limit = limit
        self._header: bytes | None = sealer.header

    def write(self, data: Buffer) -> None:
        """Append ``data``."""
        if self.sealer.size + len(data) > self._limit:
            raise FileTooLarge(
                "content of unannounced length may not grow this large; send Content-Length"
            )
        if self._header is not None:
            self.upload.write(self._header)
            self._header = None
        sealed = self.sealer.update(data)
        if len(sealed):
            self.upload.write(sealed)

    def finish(self) -> None:
        """Write what is left; nothing may be written afterwards."""
        last = self.sealer.finish()
        if self._header is not None:  # small file: header and content in one write
            self.upload.write(b"".join((self._header, last)))
            self._header = None
        else:
            self.upload.write(last)
