"""Bodies: a complete age v1 file with a header of one size, sealed and opened a block at a time.

Layout: 512 bytes of header, 16 of payload nonce, then STREAM chunks of 64 KiB + 16. Chunk k
begins at ``HEADER_SIZE + k * SEALED_CHUNK``, so a range is read without the rest.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bridge.crypto import age
from bridge.crypto.errors import Tampered

HEADER_SIZE = age.PADDED_SIZE + age.PAYLOAD_NONCE_SIZE
"""Bytes before the first chunk."""

CHUNK = age.CHUNK
"""Bytes of plaintext in every chunk but the last."""

TAG = age.TAG_SIZE

SEALED_CHUNK = CHUNK + TAG
"""Bytes of a sealed chunk."""

Buffer = bytes | bytearray | memoryview


def chunks(size: int) -> int:
    """How many chunks ``size`` bytes of plaintext make; an empty file has one empty chunk."""
    return max(1, -(-size // CHUNK))


def sealed_size(size: int) -> int:
    """Bytes of the sealed chunks (without header) of ``size`` bytes of plaintext."""
    return size + TAG * chunks(size)


def plain_size(sealed: int) -> int:
    """The reverse of ``sealed_size``. Raises Tampered for a size that none has."""
    size = sealed - TAG * max(1, -(-sealed // SEALED_CHUNK))
    if size < 0 or sealed_size(size) != sealed:
        raise Tampered(f"no content has {sealed} sealed bytes")
    return size


class Span(NamedTuple):
    """What to read for a range of plaintext.

    ``sealed_offset`` counts from the start of the object, header included. Of the plaintext of
    the chunks read, skip ``skip`` bytes and take ``take``.
    """

    first_chunk: int
    sealed_offset: int
    sealed_length: int
    skip: int
    take: int


def span(offset: int, length: int, size: int) -> Span:
    """The chunks that hold ``length`` bytes from ``offset`` of a file of ``size``; cut at its end.

    A range with nothing in it reads nothing.
    """
    take = max(0, min(length, size - offset))
    first = min(offset // CHUNK, chunks(size) - 1)
    start = first * SEALED_CHUNK
    if take == 0:
        return Span(first, HEADER_SIZE + start, 0, 0, 0)
    last = (offset + take - 1) // CHUNK
    end = min((last + 1) * SEALED_CHUNK, sealed_size(size))
    return Span(first, HEADER_SIZE + start, end - start, offset - first * CHUNK, take)


class BodySealer:
    """Seals one file's content, written from one thread at a time.

    ``header``: what the object begins with, HEADER_SIZE bytes. ``size``: bytes of plaintext so far.
    The last chunk is marked as such, so one chunk at least is held back until ``finish``.
    """

    def __init__(self, header: bytes, file_key: bytes, payload_nonce: bytes) -> None:
        self.header = header
        self.file_key = file_key
        self.payload_nonce = payload_nonce
        self.size = 0
        self._aead = ChaCha20Poly1305(age.payload_key(file_key, payload_nonce))
        self._counter = 0
        self._held = bytearray()
        self._out = bytearray()
        self._open = True

    def update(self, data: Buffer) -> memoryview:
        """Sealed chunks ready to be written, perhaps none; valid until the next call."""
        if not self._open:
            raise ValueError("the body is finished, or failed")
        self._open = False  # until this has worked: a nonce must never serve twice
        view = memoryview(data).cast("B")
        ready = max(0, len(self._held) + len(view) - 1) // CHUNK
        if len(self._out) < ready * SEALED_CHUNK:
            self._out = bytearray(ready * SEALED_CHUNK)
        out = memoryview(self._out)[: ready * SEALED_CHUNK]
        used = 0
        for place in range(ready):
            plain: Buffer
            if self._held:
                used = CHUNK - len(self._held)
                self._held += view[:used]
                plain, self._held = self._held, bytearray()
            else:
                plain = view[used : used + CHUNK]
                used += CHUNK
            self._aead.encrypt_into(
                age.chunk_nonce(self._counter, last=False),
                plain,
                None,
                out[place * SEALED_CHUNK : (place + 1) * SEALED_CHUNK],
            )
            self._counter += 1
        self._held += view[used:]
        self.size += len(view)
        self._open = True
        return out

    def finish(self) -> bytes:
        """The last chunk. Nothing may follow."""
        if not self._open:
            raise ValueError("the body is finished, or failed")
        self._open = False
        return self._aead.encrypt(age.chunk_nonce(self._counter, last=True), self._held, None)


class BodyOpener:
    """Opens one file's chunks, in any order. Thread-safe."""

    def __init__(self, file_key: bytes, payload_nonce: bytes, size: int) -> None:
        """``size``: bytes of plaintext, by the record."""
        self._aead = ChaCha20Poly1305(age.payload_key(file_key, payload_nonce))
        self._count = chunks(size)
        self._size = size

    def open(self, sealed: Buffer, first_chunk: int) -> bytearray:
        """The plaintext of whole consecutive chunks, at least one.

        Raises Tampered, and then releases nothing.
        """
        view = memoryview(sealed)
        end = first_chunk + -(-len(view) // SEALED_CHUNK)
        size = min(end * CHUNK, self._size) - first_chunk * CHUNK
        if not 0 <= first_chunk < end <= self._count or len(view) != size + TAG * (
            end - first_chunk
        ):
            raise Tampered("the content's length is not what its record says")
        plain = bytearray(size)
        out = memoryview(plain)
        try:
            for chunk in range(first_chunk, end):
                at = chunk - first_chunk
                self._aead.decrypt_into(
                    age.chunk_nonce(chunk, last=chunk == self._count - 1),
                    view[at * SEALED_CHUNK : (at + 1) * SEALED_CHUNK],
                    None,
                    out[at * CHUNK : (at + 1) * CHUNK],
                )
        except InvalidTag:
            raise Tampered("the content does not verify") from None
        return plain
