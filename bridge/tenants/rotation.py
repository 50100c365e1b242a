"""Replacing keys while the service runs: the operator's (KEK), and a tenant's root key (TRK).

Either may be stopped at any point, by ``kill -9`` too, and is resumed by running it again: what is
to be done is read from the keyring and from what is stored. For why no file is lost to a key that
was taken away see docs/adr/0014-rotating-keys.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from bridge.crypto.errors import CryptoError, UnknownKey
from bridge.crypto.keyring import Kek, Keyring
from bridge.crypto.secrets import open_secret, seal_secret, sealed_under
from bridge.crypto.vault import PATIENCE
from bridge.files.resealer import Resealer, Tally
from bridge.files.vault import Vault
from bridge.state.api import Lease, LeaseBusy, LeaseName, TreeState
from bridge.tenants.vault import Keyrings, Ledger

ROTATION = LeaseName(b"", b"rotation")
"""Held by whoever replaces a tenant's keys."""

SLACK = 5.0
"""Seconds for clocks that do not go alike, on top of every wait."""

_PAUSE = 5.0
"""Seconds until things are looked at again on which others were working."""

_BREATH = 1.0
"""Seconds between looks at whether the lease still holds."""

_TRIES = 10


class RotationError(Exception):
    """Keys cannot be replaced now; the message says why, what has changed, and what to do."""


@dataclass(frozen=True, slots=True)
class Margins:
    """Seconds after the ledger was told of a new key.

    ``taken``: by then every process seals under it, or not at all. ``settled``: by then nothing
    sealed under an older one is still on its way to the store.
    """

    taken: float
    settled: float

    @classmethod
    def of(cls, *, lease: float, late: float) -> Margins:
        """For leases of ``lease`` seconds, within which all that is sealed is asked of the store.

        ``late``: for how long after that it may still take effect there.
        """
        return cls(PATIENCE + SLACK, PATIENCE + lease + late + SLACK)


class Step(Enum):
    """What a rotation is at; the value says it in words."""

    ADDING = "adding a new key"
    RESUMING = "going on with a rotation that was interrupted"
    TAKING = "waiting until every process has the new key"
    RESEALING = "sealing records and properties under the new key"
    SETTLING = "waiting until nothing sealed under the old key is on its way"
    REMOVING = "removing the old key"
    DONE = "done"


Progress = Callable[[Step, Tally], None]
"""Told at each step, and while records are sealed; what it raises stops the rotation."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One sealed secret, where it is kept.

    ``replace`` puts another text in its place if ``sealed`` is what is there; whether it was.
    """

    purpose: str
    sealed: bytes
    replace: Callable[[bytes], bool]


def tell(keyrings: Keyrings, ledger: Ledger) -> None:
    """Bring the ledger up to the newest keyring. Raises VaultError, StoreError, StateError."""
    for _ in range(_TRIES):
        number, sealed = keyrings.newest_sealed()
        known, _ = ledger.read()
        if known >= number or ledger.advance(known, number, sealed):
            return
    raise RotationError("the keyring changes all the time; try again")


def rotate_kek(
    keyrings: Keyrings,
    ledger: Ledger,
    keks: tuple[Kek, ...],
    tenant_id: str,
    secrets: Callable[[], Iterable[Secret]],
    state: TreeState,
) -> int:
    """Seal the keyring and the ``secrets`` of one tenant under the first of ``keks``.

    Returns how many it has sealed anew: none where all were. All processes must have the first KEK
    before. Raises RotationError, VaultError (both naming the KEK expected where one is not at hand;
    then nothing has changed), StoreError, StateError.
    """
    with _alone(tenant_id, state) as lease:
        keyring, sealed = keyrings.newest()
        for secret in secrets():
            _open(keks, tenant_id, secret)
        count = 0
        if keyrings.needs_sealing(sealed):
            lease.check()
            _publish(keyrings, keyring.following(sealed))
            count += 1
        tell(keyrings, ledger)
        for _ in range(_TRIES):
            left = [secret for secret in secrets() if sealed_under(secret.sealed) != keks[0].id]
            if not left:
                return count
            for secret in left:
                lease.check()
                plain = _open(keks, tenant_id, secret)
                count += secret.replace(seal_secret(keks[0], secret.purpose, tenant_id, plain))
        raise RotationError(
            f"secrets of tenant {tenant_id} are still written under another KEK: make the new one "
            "the first of every process, and run this again"
        )


def _open(keks: tuple[Kek, ...], tenant_id: str, secret: Secret) -> bytes:
    try:
        return open_secret(keks, secret.purpose, tenant_id, secret.sealed)
    except UnknownKey as error:
        known = ", ".join(kek.id.hex() for kek in keks)
        raise RotationError(f"{error} (configured: {known})") from None
    except CryptoError as error:
        raise RotationError(f"the {secret.purpose} of tenant {tenant_id}: {error}") from None


class TenantRotation:
    """Replaces the root key of the tenant whose ``vault`` is given, opened with its ``keyrings``.

    ``clock`` is monotonic. ``resealer`` makes the passes.
    """

    def __init__(
        self,
        vault: Vault,
        keyrings: Keyrings,
        ledger: Ledger,
        margins: Margins,
        *,
        resealer: Resealer | None = None,
        progress: Progress = lambda _step, _tally: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._vault = vault
        self._keyrings = keyrings
        self._ledger = ledger
        self._margins = margins
        self._resealer = Resealer(vault) if resealer is None else resealer
        self._progress = progress
        self._clock = clock
        self._sleep = sleep

    def run(self, *, leave_damaged: bool = False) -> Tally:
        """Rotate, or end a rotation that was interrupted; returns what was sealed anew in all.

        ``leave_damaged``: take the old key away though there are entries whose records do not open;
        those can then be rebuilt from their bodies no more. Raises RotationError, VaultError,
        StoreError, StateError, Unconfirmed.
        """
        with _alone(self._vault.keys.tenant_id, self._vault.state) as lease:
            keyring = self._begin()
            told = self._clock()
            self._rest(lease, Step.TAKING, told + self._margins.taken)
            total = self._reseal_all(lease, told, leave_damaged=leave_damaged)
            self._progress(Step.REMOVING, total)
            lease.check()
            self._remove_retired(keyring)
        self._progress(Step.DONE, total)
        return total

    def _begin(self) -> Keyring:
        """The keyring with the new key and those it is to replace; the ledger knows of it."""
        keyring, sealed = self._keyrings.newest()
        if len(keyring.trks) == 1:
            self._progress(Step.ADDING, Tally())
            _publish(self._keyrings, keyring.with_new_trk(sealed))
            keyring, _ = self._keyrings.newest()
        else:
            self._progress(Step.RESUMING, Tally())
        self._vault.keys.take(keyring)
        tell(self._keyrings, self._ledger)
        return keyring

    def _reseal_all(self, lease: Lease, told: float, *, leave_damaged: bool) -> Tally:
        """Pass over the vault until one, begun after all has settled, has found nothing."""
        settled = told + self._margins.settled
        resealed = 0

        def progress(tally: Tally) -> None:
            lease.check()
            self._progress(Step.RESEALING, tally)

        while True:
            began = self._clock()
            tally = self._resealer.run(progress)
            resealed += tally.resealed
            if not tally.found and began >= settled:
                break
            if tally.waiting:
                self._rest(lease, Step.SETTLING, self._clock() + _PAUSE)
            elif not tally.resealed:
                self._rest(lease, Step.SETTLING, settled)
        if tally.damaged and not leave_damaged:
            raise RotationError(
                f"{tally.damaged} entries are damaged, and while the old key is there they can "
                "perhaps be rebuilt: run storj-bridge fsck --repair and then this again, or tell "
                "this to leave them; everything else is under the new key"
            )
        return Tally(tally.looked, resealed, 0, tally.damaged)

    def _remove_retired(self, expected: Keyring) -> None:
        keyring, sealed = self._keyrings.newest()
        if (keyring.trks, keyring.active) != (expected.trks, expected.active):
            raise RotationError("somebody else has changed the keyring meanwhile; run this again")
        _publish(self._keyrings, keyring.without_retired(sealed))
        self._vault.keys.take(self._keyrings.newest()[0])
        tell(self._keyrings, self._ledger)

    def _rest(self, lease: Lease, step: Step, until: float) -> None:
        self._progress(step, Tally())
        while (left := until - self._clock()) > 0:
            lease.check()
            self._sleep(min(left, _BREATH))


def _publish(keyrings: Keyrings, keyring: Keyring) -> None:
    if not keyrings.publish(keyring):
        raise RotationError(
            f"somebody else has written keyring {keyring.number} of tenant {keyring.tenant_id} at "
            "this moment; run this again"
        )


@contextmanager
def _alone(tenant_id: str, state: TreeState) -> Iterator[Lease]:
    """Let nobody else replace keys of the tenant. Raises RotationError."""
    try:
        held = state.acquire([ROTATION], [], wait=0.0)
    except LeaseBusy:
        raise RotationError(
            f"keys of tenant {tenant_id} are being replaced by another process; if that one has "
            "died, run this again in a minute or two"
        ) from None
    with held as lease:
        yield lease
