"""A tenant's keyrings in the bucket, and the making of a vault.

Keyrings lie at ``.bridge/<tenant id>/keyring/<n>``, written once with create-if-absent and read
back before anything is sealed under them: of two processes that make a vault at once, one wins
and both use what it wrote. Beside each, under the vault prefix, ``recovery/<n>.age`` gives the keys
of names and records to whoever holds the recovery identity. No code of the service reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bridge.crypto import age, labels
from bridge.crypto.errors import CryptoError, UnknownKey
from bridge.crypto.kdf import derive
from bridge.crypto.keyring import Kek, Keyring, newest
from bridge.crypto.vault import VaultKeys
from bridge.store.api import Exists, NotFound, ObjectStore

FORMAT = 1
"""The vault format that ``recovery/<n>.age`` names."""

_LARGEST = 1 << 20
"""Most bytes of a keyring that are read: more is not one."""


class VaultError(Exception):
    """The vault cannot be opened or made; the message says why and what to do."""


def vault_prefix(tenant_id: str) -> str:
    """What all keys of a tenant's vault begin with; it ends with a slash."""
    return f"{tenant_id}/"


def keyrings_prefix(tenant_id: str) -> str:
    """What the keys of a tenant's sealed keyrings begin with; it ends with a slash."""
    return f".bridge/{tenant_id}/keyring/"


class Keyrings:
    """One tenant's keyrings. ``keks``: the first seals, all open."""

    def __init__(self, store: ObjectStore, keks: tuple[Kek, ...], tenant_id: str) -> None:
        self._store = store
        self._keks = keks
        self._tenant_id = tenant_id
        self._folder = keyrings_prefix(tenant_id)
        self.prefix = vault_prefix(tenant_id)
        """The vault prefix, with the slash at its end."""

    def open(self, *, create: bool = False) -> tuple[VaultKeys, str | None]:
        """The vault's keys, and the recovery identity if this very call made the vault.

        Raises VaultError, StoreError.
        """
        identity = None
        sealed = self._stored()
        if not sealed:
            if not create:
                raise VaultError(
                    f"tenant {self._tenant_id} has no vault in this store: make it with "
                    "storj-bridge init, or, if it should be there, look whether the right disk is "
                    "mounted"
                )
            identity = self._create()
            sealed = self._stored()
        keyring = self._newest(sealed)
        # Missing also after a crash between the two writes.
        self._keep_recovery_file(keyring)
        return VaultKeys(keyring), identity

    def any(self) -> bool:
        """Whether there are keyrings, thus a vault; opens none. Raises StoreError."""
        return any(True for _ in self._store.list(self._folder))

    def check(self) -> None:
        """Read the keyrings again and open the newest. Raises VaultError, StoreError."""
        self._newest(self._stored())

    def _create(self) -> str | None:
        """Write the first keyring; the recovery identity if it became the vault's."""
        if self._holds_objects() and not self._stored():
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

    def _newest(self, sealed: Mapping[int, bytes]) -> Keyring:
        try:
            return newest(sealed, self._keks, self._tenant_id)
        except UnknownKey as error:
            known = ", ".join(kek.id.hex() for kek in self._keks)
            raise VaultError(f"{error} (configured: {known})") from None
        except CryptoError as error:
            raise VaultError(str(error)) from None

    def _stored(self) -> dict[int, bytes]:
        found = {}
        for info in self._store.list(self._folder):
            number = info.key.removeprefix(self._folder)
            if number.isascii() and number.isdigit() and not number.startswith("0"):
                found[int(number)] = self._read(info.key)
        return found

    def _read(self, key: str) -> bytes:
        with self._store.get(key, 0, _LARGEST) as download:
            buffer = bytearray(min(download.info.size, _LARGEST))
            view = memoryview(buffer)
            filled = 0
            while filled < len(buffer) and (count := download.readinto(view[filled:])):
                filled += count
        return bytes(buffer[:filled])

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


def recovery_content(keyring: Keyring) -> dict[str, object]:
    """What ``recovery/<n>.age`` holds, bytes in hex. Bodies have keys of their own."""
    return {
        "format": FORMAT,
        "tenant_id": keyring.tenant_id,
        "root_directory_id": derive(keyring.tnk, labels.ROOT_DIRECTORY, 16).hex(),
        "name_key": derive(keyring.tnk, labels.NAME_KEY, 64).hex(),
        "meta_keys": {
            kid.hex(): derive(trk, labels.META_KEY).hex() for kid, trk in keyring.trks.items()
        },
    }
