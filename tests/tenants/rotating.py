"""A tenant's vault as one process has it open, for tests of rotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.crypto import keyset
from bridge.crypto.keyring import Kek, Keyring
from bridge.files.fsck import Fsck
from bridge.files.layout import RECORD
from bridge.files.reaper import Reaper
from bridge.files.resealer import Resealer, Tally
from bridge.files.vault import Vault
from bridge.files.vault_tree import VaultTree
from bridge.state.database import LEASE_SECONDS, open_state
from bridge.store.api import ObjectStore
from bridge.store.local import LocalStore
from bridge.tenants.rotation import Margins, Step, TenantRotation
from bridge.tenants.vault import Keyrings
from tests.crypto import reader
from tests.tenants.ledgers import FileLedger

KEK, NEW_KEK = Kek(b"1" * 32), Kek(b"2" * 32)
TENANT = "t"
AT_ONCE = Margins(0.0, 0.0)


@dataclass
class Process:
    """What one process has open. ``folder`` holds store, state and ledger of all."""

    folder: Path
    store: ObjectStore
    ledger: FileLedger
    keyrings: Keyrings
    tree: VaultTree
    identity: str | None

    @property
    def vault(self) -> Vault:
        return self.tree.vault

    def rotation(
        self,
        *,
        margins: Margins = AT_ONCE,
        quiet: float = 0.0,
        progress: Callable[[Step, Tally], None] = lambda _step, _tally: None,
    ) -> TenantRotation:
        return TenantRotation(
            self.vault,
            self.keyrings,
            self.ledger,
            margins,
            resealer=Resealer(self.vault, quiet=quiet),
            progress=progress,
        )

    def keyring(self) -> Keyring:
        return self.keyrings.newest()[0]

    def kids(self) -> set[bytes]:
        """The kids under which something is sealed that is needed, as the store has it."""
        prefix = self.keyrings.prefix
        found = set()
        for info in self.store.list(prefix, recursive=True):
            area = info.key.removeprefix(prefix)[:2]
            if area in ("d/", "r/") and info.metadata is not None:
                found.add(keyset.kid_of_record(info.metadata[RECORD]))
            elif area in ("c/", "x/"):
                found.add(keyset.kid_of(self.content(info.key)))
        return found

    def content(self, key: str) -> bytes:
        with self.store.get(key) as download:
            buffer = bytearray(download.info.size)
            view, filled = memoryview(buffer), 0
            while filled < len(buffer) and (count := download.readinto(view[filled:])):
                filled += count
        return bytes(buffer)

    def problems(self, *, repair: bool = False) -> list[str]:
        """The names of what fsck finds, once removed folders are emptied."""
        Reaper(self.vault, grace=0).reap()
        report = Fsck(self.tree, repair=repair, min_age=0).run()
        return sorted(problem.finding.name for problem in report.problems)


@contextmanager
def process(
    folder: Path,
    *,
    keks: tuple[Kek, ...] = (KEK,),
    create: bool = False,
    patience: float | None = None,
    ttl: float = LEASE_SECONDS,
) -> Iterator[Process]:
    """Open the tenant's vault in ``folder``, making it if asked to."""
    store = LocalStore(folder / "store")
    ledger = FileLedger(folder / "ledger.db")
    keyrings = Keyrings(store, keks, TENANT, ledger)
    keys, identity = keyrings.open(create=create, patience=patience)
    if create:
        ledger.advance(0, *keyrings.newest_sealed())
    with open_state(folder / "state.db", ttl=ttl) as state:
        vault = Vault(store, keys, state.tree(TENANT), prefix=keyrings.prefix)
        yield Process(folder, store, ledger, keyrings, VaultTree(vault), identity)
    store.close()


def recovered(process: Process, number: int) -> reader.Vault:
    """The vault as the recovery identity opens it with recovery file ``number``, and no bridge."""
    assert process.identity is not None
    prefix = process.keyrings.prefix
    objects = {}
    for info in process.store.list(prefix, recursive=True):
        sealed = "" if info.metadata is None else info.metadata.get(RECORD, "")
        objects[info.key] = sealed, process.content(info.key)
    file = objects[f"{prefix}recovery/{number}.age"][1]
    return reader.Vault(objects, TENANT, file, process.identity)
