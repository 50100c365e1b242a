"""A tenant's keys at work: everything a file tree seals and opens, under its newest keyring.

A keyring may be replaced while a service runs, by this process or by another. What is sealed under
a key that this process does not know yet makes it ask for the newest keyring, once; and where
``patience`` is set nothing is sealed unless the keyring in use was known to be the newest so many
seconds ago at most, since what is sealed under a key that has left the keyring is lost.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from bridge.crypto import labels
from bridge.crypto.body import BodyOpener, BodySealer
from bridge.crypto.errors import Tampered, Unconfirmed, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import Keyring
from bridge.crypto.keyset import KeySet
from bridge.crypto.names import NameCipher
from bridge.crypto.record import ID_SIZE, Record

PATIENCE = 5.0
"""Seconds for which a keyring that was the newest is taken to be so still. A rotation waits longer
before it takes a key away (``bridge.tenants.rotation``)."""

_QUESTIONS = 10
_QUESTION_SECONDS = 10.0
"""So many times in so many seconds an unknown key makes it ask: who can write to the bucket can put
things there that name keys nobody has."""


class VaultKeys:
    """Seals and opens what one vault holds. Thread-safe.

    ``newest`` gets the newest keyring there is, and raises CryptoError where it cannot tell; where
    it is None this one is used until ``take``. ``known`` gets the newest one's number where that is
    cheaper to tell, 0 where it is not known; it is asked first. ``patience``: seconds, or None
    where no other process can replace the keyring. ``clock`` is monotonic.
    """

    def __init__(
        self,
        keyring: Keyring,
        random: Callable[[int], bytes] = os.urandom,
        *,
        newest: Callable[[], Keyring] | None = None,
        known: Callable[[], int] | None = None,
        patience: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tenant_id = keyring.tenant_id
        self.root_directory_id = derive(keyring.tnk, labels.ROOT_DIRECTORY, ID_SIZE)
        self.names = NameCipher(derive(keyring.tnk, labels.NAME_KEY, 64))
        self._random = random
        self._newest = newest
        self._known = known
        self._patience = patience
        self._clock = clock
        self._keys = KeySet(keyring, random)
        self._confirmed = -float("inf")
        self._asking = threading.Lock()
        self._taking = threading.Lock()
        self._questions: deque[float] = deque(maxlen=_QUESTIONS)

    @property
    def number(self) -> int:
        """The number of the keyring in use."""
        return self._keys.number

    def take(self, keyring: Keyring) -> None:
        """Use ``keyring`` from now on, if it is newer. Raises Tampered for another vault's."""
        root = derive(keyring.tnk, labels.ROOT_DIRECTORY, ID_SIZE)
        if (keyring.tenant_id, root) != (self.tenant_id, self.root_directory_id):
            raise Tampered(f"keyring {keyring.number} is of another vault")
        with self._taking:
            if keyring.number > self._keys.number:
                self._keys = KeySet(keyring, self._random)

    def confirm(self, number: int, asked: float) -> bool:
        """Note that ``number`` was the newest keyring's at ``asked``, by ``clock``.

        ``asked``: before the question was put. False if this process has an older one: then it has
        confirmed nothing (see ``take``).
        """
        if number > self._keys.number:
            return False
        self._confirmed = max(self._confirmed, asked)
        return True

    def sealing(self) -> KeySet:
        """What to seal with now, for things that belong together under one key.

        Raises Unconfirmed when it may be the newest no more and nobody can tell.
        """
        if self._is_stale():
            with self._asking:
                if self._is_stale() and not self._is_known():
                    self._ask()
                if self._is_stale():
                    raise Unconfirmed("the answer which keyring is the newest took too long")
        return self._keys

    def seal_record(self, record: Record) -> str:
        """A record as text for an object's metadata.

        Raises TooLong when it does not fit there, Unconfirmed.
        """
        return self.sealing().seal_record(record)

    def open_record(self, sealed: str) -> Record:
        """Raises Tampered, UnknownKey, UnknownFormat, Unconfirmed."""
        keys = self._keys
        try:
            return keys.open_record(sealed)
        except UnknownKey as error:
            return self._newer(keys, error).open_record(sealed)

    def seal_spill(self, properties: Mapping[str, str]) -> bytes:
        """Dead properties that did not fit their record, as an object's content."""
        return self.sealing().seal_spill(properties)

    def open_spill(self, sealed: bytes) -> Mapping[str, str]:
        """Raises Tampered, UnknownKey, UnknownFormat, Unconfirmed."""
        keys = self._keys
        try:
            return keys.open_spill(sealed)
        except UnknownKey as error:
            return self._newer(keys, error).open_spill(sealed)

    def seal_intent(self, copy: bytes, renewed: float) -> bytes:
        """The intent of a running copy, as an object's content.

        ``copy``: the id that the directory made by it will have. ``renewed``: Unix seconds.
        """
        return self.sealing().seal_intent(copy, renewed)

    def open_intent(self, sealed: bytes) -> tuple[bytes, float]:
        """What ``seal_intent`` was given. Raises as ``open_spill``."""
        keys = self._keys
        try:
            return keys.open_intent(sealed)
        except UnknownKey as error:
            return self._newer(keys, error).open_intent(sealed)

    def new_body(self) -> BodySealer:
        """A fresh file key, wrapped for this vault and for the recovery recipient.

        Under whatever key is active: a header is not needed to read, so it may outlive its key.
        """
        return self._keys.new_body()

    def body_opener(self, file_key: bytes, payload_nonce: bytes, size: int) -> BodyOpener:
        """Opens a body of ``size`` bytes of plaintext by its record; the header is not asked."""
        return BodyOpener(file_key, payload_nonce, size)

    def open_header(self, header: bytes) -> tuple[bytes, bytes]:
        """File key and payload nonce from a body's first HEADER_SIZE bytes, for a lost record.

        By the vault's own stanza only: anyone who knows the recovery recipient could forge the
        other. The nonce is not covered by the header's MAC: verify every chunk before you
        believe it. Raises Tampered, UnknownKey, Unconfirmed.
        """
        keys = self._keys
        try:
            return keys.open_header(header)
        except UnknownKey as error:
            return self._newer(keys, error).open_header(header)

    def _is_stale(self) -> bool:
        return self._patience is not None and self._clock() - self._confirmed > self._patience

    def _is_known(self) -> bool:
        """Whether the keyring in use is the newest by what is known of it without a look."""
        if self._known is None:
            return False
        asked = self._clock()
        number = self._known()
        return number > 0 and self.confirm(number, asked)

    def _newer(self, keys: KeySet, unknown: UnknownKey) -> KeySet:
        """A newer keyring's keys than ``keys``, which lack one. Raises ``unknown``, Unconfirmed."""
        with self._asking:
            if self._keys is keys and self._newest is not None and self._may_ask():
                self._questions.append(self._clock())
                self._ask()
        if self._keys is keys:
            raise unknown
        return self._keys

    def _may_ask(self) -> bool:
        full = len(self._questions) == _QUESTIONS
        return not full or self._clock() - self._questions[0] > _QUESTION_SECONDS

    def _ask(self) -> None:
        """Take the newest keyring. Raises Unconfirmed."""
        if self._newest is None:
            raise Unconfirmed("nobody has said for too long that the keyring is the newest")
        asked = self._clock()
        keyring = self._newest()
        self.take(keyring)
        self.confirm(keyring.number, asked)
