"""TLS by certificate and key files, read again when they change.

New handshakes get a whole new context: a certificate whose key does not fit, or a file half
written, never replaces what works.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

_log = structlog.get_logger()

CHECK_SECONDS = 5.0
"""How often the files are looked at."""


class TlsError(Exception):
    """Certificate and key cannot be used; the message says why."""


class Certificates:
    """Holds the context that listeners are given, and keeps what it serves up to date."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises TlsError."""
        self._certificate = certificate
        self._key = key
        self._seen = self._stamps()
        self._current = self._load()
        # The outer context only finds the current one, at each handshake (also without SNI).
        self.context = self._load()
        self.context.sni_callback = self._choose

    async def watch(self) -> None:
        """Look at the files for ever, and reload when they have changed."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.reload()

    def reload(self) -> bool:
        """Take changed files into use; returns whether new ones are served from now on."""
        seen = self._stamps()
        if seen == self._seen:
            return False
        try:
            self._current = self._load()
        except TlsError as error:
            # Asked again at the next look: a renewal writes two files one after the other.
            _log.warning("certificate not reloaded", reason=str(error))
            return False
        self._seen = seen
        _log.info("certificate reloaded", certificate=str(self._certificate))
        return True

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # An encrypted key would make OpenSSL ask on the terminal: an empty password refuses it.
            context.load_cert_chain(self._certificate, self._key, password=lambda: b"")
        except FileNotFoundError as error:
            missing = next((p for p in (self._certificate, self._key) if not p.exists()), error)
            raise TlsError(f"TLS: {missing} does not exist") from None
        except ssl.SSLError as error:
            raise TlsError(
                f"TLS: {self._certificate} and {self._key} are no certificate and its key in PEM "
                f"without a password ({error.reason or error})"
            ) from None
        except OSError as error:
            raise TlsError(f"TLS: {self._certificate}, {self._key}: {error.strerror}") from None
        return context

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._certificate, self._key))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
