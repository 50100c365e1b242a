"""A tenant's keyrings in the bucket, and the making of a vault.

Keyrings lie at ``.bridge/<tenant id>/keyring/<n>``, written once with create-if-absent and read
back before anything is sealed under them: of two processes that make a vault at once, one wins
and both use what it wrote. Beside each, under the vault prefix, ``recovery/<n>.age`` gives the keys
of names and records to whoever holds the recovery identity. No code of the service reads it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from bridge.crypto import age, labels
from bridge.crypto.errors import CryptoError, Unconfirmed, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import Kek, Keyring, kek_of, newest
from bridge.crypto.vault import VaultKeys
from bridge.state.api import StateError
from bridge.store.api import Exists, NotFound, ObjectStore, StoreError
from bridge.store.whole import read_whole
from bridge.tenants.api import TenantError

FORMAT = 1
"""The vault format that ``recovery/<n>.age`` names."""

_LARGEST = 1 << 20
"""Most bytes of a keyring that are read: more is not one."""


class VaultError(Exception):
    """The vault cannot be opened or made; the message says why and what to do."""


def vault_prefix(tenant_id: str) -> str:
    """What all keys of a tenant's vault begin with; it ends with a slash."""
    return f"{tenant_id}/"


def bridge_prefix(tenant_id: str) -> str:
    """What the keys of all that the bridge keeps of a tenant begin with; it ends with a slash."""
    return f".bridge/{tenant_id}/"


def keyrings_prefix(tenant_id: str) -> str:
    """What the keys of a tenant's sealed keyrings begin with; it ends with a slash."""
    return f"{bridge_prefix(tenant_id)}keyring/"


class Ledger(Protocol):
    """The newest keyring of one tenant as the state database knows it.

    Raises StateError, and NoSuchTenant once the tenant is gone.
    """

    def read(self) -> tuple[int, bytes]:
        """Its number, and it sealed; 0 and b"" where none is known."""
        ...

    def advance(self, old: int, new: int, sealed: bytes) -> bool:
        """Note keyring ``new`` if ``old`` is still the one known; whether it was.

        From then on, whoever asks for what is known is told of the new one.
        """
        ...


class Keyrings:
    """One tenant's keyrings. ``keks``: the first seals, all open. Thread-safe.

    ``ledger`` says which keyring was in use, so that one which is gone from the bucket is missed.
    What this object has seen itself is missed without it.
    """

    def __init__(
        self,
        store: ObjectStore,
        keks: tuple[Kek, ...],
        tenant_id: str,
        ledger: Ledger | None = None,
    ) -> None:
        self._store = store
        self._keks = keks
        self._tenant_id = tenant_id
        self._ledger = ledger
        self._folder = keyrings_prefix(tenant_id)
        self._seen = (0, b"")
        self._noting = threading.Lock()
        self.prefix = vault_prefix(tenant_id)
        """The vault prefix, with the slash at its end."""

    def open(
        self, *, create: bool = False, patience: float | None = None
    ) -> tuple[VaultKeys, str | None]:
        """The vault's keys, and the recovery identity if this very call made the vault.

        ``patience``: see ``VaultKeys``; PATIENCE where other processes may rotate keys. Raises
        VaultError, StoreError, StateError.
        """
        identity = None
        asked = time.monotonic()
        if not self._numbers():
            if not create:
                raise VaultError(
                    f"tenant {self._tenant_id} has no vault in this store: make it with "
                    "storj-bridge init, or, if it should be there, look whether the right disk is "
                    "mounted"
                )
            identity = self._create()
        keyring, _ = self.newest()
        keys = VaultKeys(
            keyring,
            newest=self._answer,
            known=None if self._ledger is None else self._known,
            patience=patience,
        )
        keys.confirm(keyring.number, asked)
        return keys, identity

    def any(self) -> bool:
        """Whether there are keyrings, thus a vault; opens none. Raises StoreError."""
        return any(True for _ in self._store.list(self._folder))

    def check(self) -> None:
        """Read the keyrings again and open the newest. Raises as ``newest``."""
        self._look()

    def newest(self) -> tuple[Keyring, bytes]:
        """The newest keyring, read now, and it as it is stored; its recovery file is there too.

        Raises VaultError, StoreError, StateError.
        """
        keyring, sealed = self._look()
        # Missing also after a crash between the two writes.
        self._keep_recovery_file(keyring)
        return keyring, sealed

    def fingerprint(self) -> str:
        """The vault's, see ``fingerprint``. Raises as ``newest``."""
        return fingerprint(self._look()[0])

    def newest_sealed(self) -> tuple[int, bytes]:
        """The newest keyring's number, and it as it is stored. Raises as ``newest``."""
        keyring, sealed = self.newest()
        return keyring.number, sealed

    def publish(self, keyring: Keyring) -> bool:
        """Store a keyring that follows the newest, sealed under the first KEK, and read it back.

        False when somebody else's has its number: that one is to be used then. Raises as
        ``newest``; the keyring may be there all the same.
        """
        sealed = keyring.seal(self._keks[0])
        key = f"{self._folder}{keyring.number}"
        with suppress(Exists):  # also where the answer to our own first attempt was lost
            self._write(key, sealed)
        self.newest()
        return self._read(key) == sealed

    def needs_sealing(self, sealed: bytes) -> bool:
        """Whether a stored keyring is sealed under another KEK than the first."""
        return kek_of(sealed) != self._keks[0].id

    def _known(self) -> int:
        """The number of the newest keyring by the ledger, which costs less than a look."""
        assert self._ledger is not None
        try:
            return self._ledger.read()[0]
        except (StateError, TenantError) as error:
            raise Unconfirmed(f"the newest keyring cannot be told: {error}") from error

    def _answer(self) -> Keyring:
        """The newest keyring; raises Unconfirmed, whatever the reason."""
        try:
            return self.newest()[0]
        except (VaultError, StoreError, StateError, TenantError) as error:
            raise Unconfirmed(f"the newest keyring cannot be told: {error}") from error

    def _look(self) -> tuple[Keyring, bytes]:
        # What is known is asked before what is stored, which can only be newer.
        told = (0, b"") if self._ledger is None else self._ledger.read()
        known = [each for each in {told, self._seen} if each[0]] or [(0, b"")]
        stored = self._stored(min(number for number, _ in known))
        keyring = [self._newest(stored, seen) for _, seen in known][-1]
        sealed = (dict(known) | stored)[keyring.number]
        with self._noting:
            if keyring.number > self._seen[0]:
                self._seen = keyring.number, sealed
        return keyring, sealed

    def _create(self) -> str | None:
        """Write the first keyring; the recovery identity if it became the vault's."""
        if self._holds_objects() and not self._numbers():
            raise VaultError(
                f"the store holds objects of tenant {self._tenant_id} but no keyring: with a new "
                f"one they would be lost; restore {self._folder} from a backup"
            )
        identity, recipient = age.generate_identity()
        mine = Keyring.generate(self._tenant_id, recipient).seal(self._keks[0])
        try:
            self._write(f"{self._folder}1", mine)
        except Exists:
            # Somebody else was first, or the answer to our own first attempt was lost.
            return identity if self._stored().get(1) == mine else None
        return identity

    def _holds_objects(self) -> bool:
        return any(True for _ in self._store.list(f"{self.prefix}d/"))

    def _newest(self, sealed: Mapping[int, bytes], seen: bytes) -> Keyring:
        try:
            return newest(sealed, self._keks, self._tenant_id, seen=seen)
        except UnknownKey as error:
            known = ", ".join(kek.id.hex() for kek in self._keks)
            raise VaultError(f"{error} (configured: {known})") from None
        except CryptoError as error:
            raise VaultError(str(error)) from None

    def _stored(self, least: int = 1) -> dict[int, bytes]:
        """The keyrings from number ``least`` on."""
        return {
            number: self._read(f"{self._folder}{number}")
            for number in self._numbers()
            if number >= least
        }

    def _numbers(self) -> list[int]:
        names = [info.key.removeprefix(self._folder) for info in self._store.list(self._folder)]
        return [
            int(name)
            for name in names
            if name.isascii() and name.isdigit() and not name.startswith("0")
        ]

    def _read(self, key: str) -> bytes:
        return read_whole(self._store, key, _LARGEST)

    def _keep_recovery_file(self, keyring: Keyring) -> None:
        key = f"{self.prefix}recovery/{keyring.number}.age"
        try:
            self._store.stat(key)
        except NotFound:
            plain = json.dumps(recovery_content(keyring)).encode()
            sealed = age.encrypt(age.Recipient(keyring.recipient), plain)
            try:
                self._write(key, sealed)
            except Exists:
                return  # the same keys, written by another process meanwhile

    def _write(self, key: str, content: bytes) -> None:
        upload = self._store.put(key)
        try:
            upload.write(content)
            upload.commit({}, if_absent=True)
        finally:
            upload.abort()


def fingerprint(keyring: Keyring) -> str:
    """What tells the vault's recovery files from those that others have put there; no secret.

    16 bytes in hex, the same for the vault's whole life. Whoever does not know the key of its names
    can make no recovery file with it, though the recovery recipient is public.
    """
    return derive(_name_key(keyring), labels.FINGERPRINT, 16).hex()


def recovery_content(keyring: Keyring) -> dict[str, object]:
    """What ``recovery/<n>.age`` holds, bytes in hex. Bodies have keys of their own."""
    return {
        "format": FORMAT,
        "tenant_id": keyring.tenant_id,
        "root_directory_id": derive(keyring.tnk, labels.ROOT_DIRECTORY, 16).hex(),
        "name_key": _name_key(keyring).hex(),
        "meta_keys": {
            kid.hex(): derive(trk, labels.META_KEY).hex() for kid, trk in keyring.trks.items()
        },
    }


def _name_key(keyring: Keyring) -> bytes:
    return derive(keyring.tnk, labels.NAME_KEY, 64)
