"""What operators do with tenants, on a real state database and a real store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from bridge.crypto.keyring import Kek
from bridge.files.path import Path as FilePath
from bridge.state.api import LeaseLost, Lock
from bridge.state.database import DatabaseState, open_state
from bridge.store.api import ObjectInfo, Unavailable
from bridge.store.deadline import remaining
from bridge.store.memory import MemoryStore
from bridge.tenants import credential_rows
from bridge.tenants.api import (
    ALL_RIGHTS,
    AlreadyThere,
    Invalid,
    NoSuchCredential,
    NoSuchTenant,
    NoSuchToken,
    NotForTenant,
    Right,
    Status,
    TenantError,
)
from bridge.tenants.bucket_copy import read_copy
from bridge.tenants.job_rows import COPY, REVOKE
from bridge.tenants.opened import OpenTenants
from bridge.tenants.recover import Recovery
from bridge.tenants.rekeying import Rekeying
from bridge.tenants.rotation import Margins
from bridge.tenants.service import FOLDER_SECONDS, TenantService
from bridge.tenants.sign_in import SignIn
from bridge.tenants.usage import DAY, Change, Traffic
from bridge.tenants.usage_rows import TenantUsage
from bridge.tenants.vault import Keyrings
from bridge.tenants.work import LATE
from tests.files.vault import Clock, NetworkClock
from tests.store.objects import keys, read, write
from tests.tenants.storage import Storage

KEK = Kek(bytes(range(32)))


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[DatabaseState]:
    opened = open_state(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def service(state: DatabaseState, storage: Storage) -> TenantService:
    return TenantService(state, storage, (KEK,))


@pytest.fixture
def sign_in(service: TenantService) -> SignIn:
    return SignIn(service.records)


def _lets_in(sign_in: SignIn, username: str, secret: str) -> bool:
    return sign_in.authenticate(username, secret, "192.0.2.1") is not None


def test_a_tenant_is_made_with_its_vault(service: TenantService, storage: Storage) -> None:
    made = service.create_tenant("acme", quota=1_000, partner="partner/1.0", root_grant="root")
    assert made.tenant == service.tenant("acme")
    assert (made.tenant.status, made.tenant.quota) == (Status.ACTIVE, 1_000)
    assert made.recovery_identity.startswith("AGE-SECRET-KEY-1")
    assert made.recovery_grant.startswith("root/acme/")
    assert {".bridge/acme/keyring/1", ".bridge/acme/tenant", "acme/recovery/1.age"} == set(
        keys(storage.store.list("", recursive=True))
    )
    keyrings = Keyrings(storage.store, (KEK,), "acme")
    assert made.fingerprint == keyrings.fingerprint()
    number, sealed = keyrings.newest_sealed()
    row = service.records.tenant("acme")
    assert (row.keyring, row.sealed_keyring) == (number, sealed)


@pytest.mark.parametrize("name", ["", "Acme", "a.b", "-a", "a" * 64, "ä", "a/b", "..", "a\0"])
def test_a_name_that_cannot_be_is_refused(service: TenantService, name: str) -> None:
    with pytest.raises(Invalid):
        service.create_tenant(name, root_grant="root")


@pytest.mark.parametrize("partner", ["two words", "a/b/c", "a\n", "a" * 201, "/1"])
def test_a_partner_that_cannot_be_is_refused(service: TenantService, partner: str) -> None:
    with pytest.raises(Invalid):
        service.create_tenant("acme", partner=partner, root_grant="root")
    assert service.tenants() == []


def test_a_tenant_is_not_made_twice(service: TenantService) -> None:
    service.create_tenant("acme", root_grant="root")
    before = service.records.tenant("acme")
    with pytest.raises(AlreadyThere):
        service.create_tenant("acme", root_grant="root")
    assert service.records.tenant("acme") == before


def test_a_vault_that_the_database_does_not_know_is_left_alone(
    service: TenantService, storage: Storage
) -> None:
    Keyrings(storage.store, (KEK,), "acme").open(create=True)
    before = set(keys(storage.store.list("", recursive=True)))
    with pytest.raises(AlreadyThere, match="recover"):
        service.create_tenant("acme", root_grant="root")
    assert service.tenants() == []
    assert set(keys(storage.store.list("", recursive=True))) == before


def test_an_interrupted_creation_is_begun_anew(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody was shown the identity that the vault was made with: there is a new vault."""
    with monkeypatch.context() as patched:
        patched.setattr(service.records, "set_keyring", _crash)
        with pytest.raises(_CrashError):
            service.create_tenant("acme", root_grant="root")
    assert service.tenant("acme").status is Status.CREATING
    before = read(storage.store, ".bridge/acme/keyring/1")
    with pytest.raises(NotForTenant):
        service.create_credential("acme")
    made = service.create_tenant("acme", root_grant="root")
    assert made.tenant.status is Status.ACTIVE
    stored = keys(storage.store.list("", recursive=True))
    assert set(stored) == {".bridge/acme/keyring/1", ".bridge/acme/tenant", "acme/recovery/1.age"}
    assert read(storage.store, ".bridge/acme/keyring/1") != before


def test_a_creation_that_stood_still_leaves_what_another_has_made_meanwhile(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked what a broken one had left, and wakes up when its lease is over."""
    now = 1_700_000_000.0

    def clock() -> float:
        return now

    one, two = (open_state(tmp_path / "two.db", clock=clock, monotonic=clock) for _ in range(2))
    with closing(one), closing(two):
        first, second = (TenantService(each, storage, (KEK,), clock=clock) for each in (one, two))
        with monkeypatch.context() as patched:
            patched.setattr(first.records, "set_keyring", _crash)
            with pytest.raises(_CrashError):
                first.create_tenant("acme", root_grant="root")
        steps = [lambda: second.create_tenant("acme", root_grant="root")]
        list_ = MemoryStore.list

        def stand_still(
            store: MemoryStore, prefix: str, *, recursive: bool = False, cursor: str | None = None
        ) -> Iterator[ObjectInfo]:
            nonlocal now
            found = list(list_(store, prefix, recursive=recursive, cursor=cursor))
            if found and steps:
                now += 300
                steps.pop()()
            return iter(found)

        monkeypatch.setattr(MemoryStore, "list", stand_still)
        with pytest.raises(LeaseLost):
            first.create_tenant("acme", root_grant="root")
        assert second.tenant("acme").status is Status.ACTIVE
        stored = keys(storage.store.list("", recursive=True))
        assert set(stored) == {
            ".bridge/acme/keyring/1",
            ".bridge/acme/tenant",
            "acme/recovery/1.age",
        }


class _CrashError(Exception):
    pass


def _crash(*_: object) -> None:
    raise _CrashError


def test_a_credential_signs_in_with_what_it_may_do(service: TenantService, sign_in: SignIn) -> None:
    service.create_tenant("acme", root_grant="root")
    made = service.create_credential(
        "acme", "backup", rights=Right.READ | Right.LIST, root="/a/b c/", expires=time.time() + 60
    )
    assert made.credential.name == "acme.backup"
    assert sign_in.authenticate("acme.backup", made.secret, "") == made.credential
    assert made.credential.root == "/a/b c"
    first = service.create_credential("acme")
    assert sign_in.authenticate("acme", first.secret, "") == first.credential
    assert first.credential.rights == ALL_RIGHTS
    assert service.credentials("acme") == [first.credential, made.credential]


def test_nothing_else_signs_in(service: TenantService, sign_in: SignIn) -> None:
    service.create_tenant("acme", root_grant="root")
    service.create_tenant("other", root_grant="root")
    secret = service.create_credential("acme", "backup").secret
    for username in ("acme", "acme.", "acme.backup.", "other.backup", "ACME.backup", "", "acme.\0"):
        assert not _lets_in(sign_in, username, secret), username
    for wrong in ("", secret[:-1], secret + " ", secret.upper(), "\udcff"):
        assert not _lets_in(sign_in, "acme.backup", wrong)
    assert _lets_in(sign_in, "acme.backup", secret)


def test_what_has_expired_or_is_suspended_does_not_sign_in(
    state: DatabaseState, storage: Storage
) -> None:
    now = 1_000_000.0
    service = TenantService(state, storage, (KEK,), clock=lambda: now)
    sign_in = SignIn(service.records, clock=lambda: now)
    service.create_tenant("acme", root_grant="root")
    secret = service.create_credential("acme", expires=now + 60).secret
    assert _lets_in(sign_in, "acme", secret)
    service.suspend("acme")
    assert not _lets_in(sign_in, "acme", secret)
    service.resume("acme")
    assert _lets_in(sign_in, "acme", secret)
    now += 60
    assert not _lets_in(sign_in, "acme", secret)
    with pytest.raises(Invalid):
        service.create_credential("acme", "late", expires=now)


@pytest.mark.parametrize(
    "arguments",
    [
        {"label": "a b"},
        {"label": ".a"},
        {"label": "a" * 129},
        {"label": "a:b"},
        {"root": "a"},
        {"root": "/a/../b"},
        {"root": "/a\0"},
        {"root": "/" + "n" * 256},
        {"rights": Right(0)},
    ],
)
def test_a_credential_that_cannot_be_is_refused(
    service: TenantService, arguments: dict[str, object]
) -> None:
    service.create_tenant("acme", root_grant="root")
    with pytest.raises(Invalid):
        service.create_credential("acme", **arguments)  # type: ignore[arg-type]
    assert service.credentials("acme") == []


def test_a_revoked_credential_is_gone_and_its_grant_worthless(
    service: TenantService, storage: Storage, sign_in: SignIn
) -> None:
    service.create_tenant("acme", root_grant="root")
    secret = service.create_credential("acme", "a").secret
    kept = service.create_credential("acme", "b").secret
    service.revoke_credential("acme", "a")
    assert not _lets_in(sign_in, "acme.a", secret)
    assert _lets_in(sign_in, "acme.b", kept)
    ((ancestor, grant),) = storage.revoked
    assert grant.startswith(f"{ancestor}/")
    with pytest.raises(NoSuchCredential):
        service.revoke_credential("acme", "a")


def test_a_revocation_is_tried_until_the_satellite_answers(
    service: TenantService, storage: Storage, sign_in: SignIn
) -> None:
    service.create_tenant("acme", root_grant="root")
    secret = service.create_credential("acme").secret
    storage.away = True
    service.revoke_credential("acme")
    assert not _lets_in(sign_in, "acme", secret)
    (left,) = service.jobs_left("acme")
    assert "does not answer" in left.note
    storage.away = False
    assert service.jobs.run_for("acme") == []
    assert len(storage.revoked) == 1


def test_what_is_taken_away_is_gone_though_its_key_is_not_at_hand(
    service: TenantService, storage: Storage, state: DatabaseState
) -> None:
    """Only what is to be done at the satellite waits for the key, and says which one it needs."""
    service.create_tenant("acme", root_grant="root")
    secret = service.create_credential("acme", "a").secret
    service.create_credential("acme", "b")
    without = TenantService(state, storage, (Kek(bytes(32)),))
    without.revoke_credential("acme", "a")
    assert not _lets_in(SignIn(without.records), "acme.a", secret)
    left = {job.kind: job.note for job in without.jobs_left("acme")}
    assert left.keys() == {REVOKE, COPY}
    assert all(KEK.id.hex() in note for note in left.values())
    without.delete_tenant("acme", purge=True)
    assert without.credentials("acme") == []
    assert without.tenant("acme").status is Status.DELETING
    assert storage.revoked == []
    both = TenantService(state, storage, (KEK, Kek(bytes(32))))
    both.jobs.run_for("acme")
    assert both.jobs_left("acme") == []
    assert both.tenants() == []
    assert sorted(grant.count("/") for _, grant in storage.revoked) == [4, 4]
    assert all(grant.startswith(f"{ancestor}/") for ancestor, grant in storage.revoked)
    assert _content(storage) == {}


def test_no_copy_is_sealed_under_a_key_that_is_not_the_tenants(
    service: TenantService, storage: Storage, state: DatabaseState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no grants, nothing else would need the right one."""
    monkeypatch.setattr(storage, "tenant_grant", lambda *_, **__: "")
    monkeypatch.setattr(storage, "credential_grant", lambda *_: "")
    service.create_tenant("acme")
    service.create_credential("acme", "a")
    before = _content(storage)
    TenantService(state, storage, (Kek(bytes(32)),)).revoke_credential("acme", "a")
    assert service.credentials("acme") == []
    assert _content(storage) == before
    (left,) = service.jobs_left("acme")
    assert KEK.id.hex() in left.note
    service.jobs.run_for("acme")
    copy = read_copy(storage.store, (KEK,), "acme")
    assert copy is not None
    assert copy[1] == []


def test_a_new_key_of_the_operator_opens_what_jobs_carry(
    service: TenantService, storage: Storage, state: DatabaseState
) -> None:
    """Also those of a tenant that is gone, which nobody opens any more."""
    new = Kek(bytes(reversed(range(32))))
    storage.away = True
    for name in ("there", "gone"):
        service.create_tenant(name, root_grant="root")
        service.create_credential(name, "a")
    service.revoke_credential("there", "a")
    service.delete_tenant("gone", purge=True)
    assert [row.tenant.id for row in service.records.tenants()] == ["there"]
    rotating = TenantService(state, storage, (new, KEK))
    tenants = OpenTenants(rotating.records, storage, state, (new, KEK), cache_names=100)
    rekeying = Rekeying(rotating, state, (new, KEK), Margins.of(lease=60, late=0))
    with closing(tenants):
        assert rekeying.rotate_kek(tenants.tenant("there")) == 4  # keyring, grant, two of the job
        assert rekeying.gone() == ["gone"]
        assert rekeying.rotate_left("gone") == 4  # two of the revocation, two of the second purge
        assert rekeying.rotate_left("gone") == 0
        assert rekeying.rotate_kek(tenants.tenant("there")) == 0
    storage.away = False
    now = time.time() + LATE + 1
    after = TenantService(state, storage, (new,), clock=lambda: now)
    after.jobs.run_due()
    assert [*after.records.jobs.of("there"), *after.records.jobs.of("gone")] == []
    assert len(storage.revoked) == 2


@pytest.mark.parametrize("purge", [False, True])
def test_a_deleted_tenant_leaves_what_was_asked(
    service: TenantService, storage: Storage, sign_in: SignIn, purge: bool
) -> None:
    service.create_tenant("acme", root_grant="root")
    service.create_tenant("other", root_grant="root")
    secret = service.create_credential("acme").secret
    token = service.create_token("cloud", tenant_id="acme")
    others = service.create_credential("other").secret
    service.delete_tenant("acme", purge=purge)
    with pytest.raises(NoSuchTenant):
        service.tenant("acme")
    assert not _lets_in(sign_in, "acme", secret)
    assert service.token(token.text) is None
    assert len(storage.revoked) == 1
    left = {key for key in keys(storage.store.list("", recursive=True)) if "acme" in key}
    assert left == (set() if purge else {".bridge/acme/keyring/1", "acme/recovery/1.age"})
    assert _lets_in(sign_in, "other", others)


def test_a_deletion_that_was_interrupted_goes_on(
    service: TenantService, storage: Storage, state: DatabaseState, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create_tenant("acme", root_grant="root")
    service.create_credential("acme")
    with monkeypatch.context() as patched:
        patched.setattr(service.records, "drop_tenant", _crash)
        with pytest.raises(_CrashError):
            service.delete_tenant("acme", purge=True)
    assert service.tenant("acme").status is Status.DELETING
    with pytest.raises(NotForTenant):
        service.resume("acme")
    later = TenantService(state, storage, (KEK,), clock=lambda: time.time() + 1_000)
    later.jobs.run_due()
    assert later.tenants() == []
    assert list(storage.store.list("", recursive=True)) == []


def _content(storage: Storage) -> dict[str, bytes]:
    return {key: read(storage.store, key) for key in keys(storage.store.list("", recursive=True))}


def test_a_creation_that_is_repeated_keeps_the_vault_that_was_there(
    service: TenantService, storage: Storage
) -> None:
    """Whatever the first one met: only what this creation itself has written is cleared away."""
    service.create_tenant("acme", root_grant="root")
    write(storage.store, "acme/d/kept", b"precious")
    service.delete_tenant("acme", purge=False)
    before = _content(storage)
    storage.fail_lists = 1
    with pytest.raises(Unavailable):
        service.create_tenant("acme", root_grant="root")
    for _ in range(2):
        with pytest.raises(AlreadyThere):
            service.create_tenant("acme", root_grant="root")
    assert _content(storage) == before
    assert service.tenants() == []


def test_of_two_that_make_a_tenant_at_once_one_does(
    service: TenantService, storage: Storage, state: DatabaseState
) -> None:
    services = [TenantService(state, storage, (KEK,)) for _ in range(4)]

    def make(one: TenantService) -> str | None:
        try:
            return one.create_tenant("acme", root_grant="root").recovery_identity
        except TenantError:
            return None

    with ThreadPoolExecutor(4) as pool:
        shown = [each for each in pool.map(make, services) if each is not None]
    assert len(shown) == 1
    keyring, _ = Keyrings(storage.store, (KEK,), "acme").newest()
    assert service.records.tenant("acme").keyring == keyring.number == 1


def test_a_deletion_that_comes_late_leaves_the_next_tenant_alone(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create_tenant("acme", root_grant="root")
    with monkeypatch.context() as patched:
        patched.setattr(service.jobs, "run_for", lambda _tenant: [])
        service.delete_tenant("acme", purge=True)
    (late,) = service.jobs_left("acme")
    service.delete_tenant("acme", purge=True)
    service.create_tenant("acme", root_grant="root")
    before = _content(storage)
    service.records.jobs.add(late)
    service.jobs.run_for("acme")
    assert service.tenant("acme").status is Status.ACTIVE
    assert _content(storage) == before


def test_a_deletion_may_purge_what_an_earlier_one_was_to_keep(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create_tenant("acme", root_grant="root")
    with monkeypatch.context() as patched:
        patched.setattr(service.jobs, "run_for", lambda _tenant: [])
        service.delete_tenant("acme", purge=False)
    service.delete_tenant("acme", purge=True)
    assert service.tenants() == []
    assert _content(storage) == {}


def test_a_deletion_that_is_to_purge_is_gone_on_with_by_the_command_without_a_flag(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``check`` tells it; whatever else the operator meant, what he asked for is not lost."""
    service.create_tenant("acme", root_grant="root")
    write(storage.store, "acme/d/secret", b"personal")
    with monkeypatch.context() as patched:
        patched.setattr(service.jobs, "run_for", lambda _tenant: [])
        service.delete_tenant("acme", purge=True)
    service.delete_tenant("acme", purge=False)
    assert service.tenants() == []
    assert _content(storage) == {}


def test_a_deletion_that_has_lost_its_job_is_begun_anew(service: TenantService) -> None:
    service.create_tenant("acme", root_grant="root")
    service.records.set_status("acme", Status.DELETING)
    service.delete_tenant("acme", purge=False)
    assert service.tenants() == []


def test_what_configuration_declares_is_not_taken_away(service: TenantService) -> None:
    service.create_tenant("main", root_grant="root")
    service.create_credential("main")
    service.declared = "main"
    with pytest.raises(NotForTenant, match="configuration"):
        service.delete_tenant("main", purge=True)
    with pytest.raises(NotForTenant, match="configuration"):
        service.revoke_credential("main")
    assert len(service.credentials("main")) == 1


def test_an_end_that_no_calendar_has_is_refused(service: TenantService) -> None:
    service.create_tenant("acme", root_grant="root")
    for far in (1e12, float("inf")):
        with pytest.raises(Invalid):
            service.create_credential("acme", "x", expires=far)
        with pytest.raises(Invalid):
            service.create_token("x", expires=far)
    assert service.credentials("acme") == []
    assert service.tokens() == []


def test_credentials_of_a_tenant_are_bounded(
    service: TenantService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_rows, "MOST_CREDENTIALS", 3)
    service.create_tenant("acme", root_grant="root")
    for label in "abc":
        service.create_credential("acme", label)
    with pytest.raises(NotForTenant):
        service.create_credential("acme", "d")


def test_a_tenant_made_anew_has_nothing_of_the_one_before(
    service: TenantService, state: DatabaseState
) -> None:
    old = service.create_tenant("acme", root_grant="root").tenant
    usage = TenantUsage(state.rows, old)
    usage.add(Change(9, 9, 1), {})
    state.locks("acme").add(Lock("t", "/secret", True, True, "", "acme", 60, 0.0))
    service.delete_tenant("acme", purge=True)
    service.create_tenant("acme", root_grant="root")
    assert service.used("acme").bytes == 0
    assert not state.locks("acme").any()
    with pytest.raises(NoSuchTenant):
        usage.add(Change(9, 9, 1), {})


def test_a_credential_that_is_held_up_does_not_land_in_the_next_tenant_of_that_name(
    service: TenantService, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a disk, where no grant tells one tenant from the next.
    monkeypatch.setattr(storage, "tenant_grant", lambda _tenant, **_grants: "")
    service.create_tenant("acme")

    def hang(tenant_id: str, _folder: FilePath) -> None:
        service.delete_tenant(tenant_id, purge=True)
        service.create_tenant(tenant_id)

    service.make_folder = hang
    with pytest.raises(NoSuchTenant, match="another"):
        service.create_credential("acme", "late", root="/photos")
    assert service.credentials("acme") == []


@pytest.fixture
def clock() -> Clock:
    """Goes on as time does, from noon on, and can be set."""
    clock = NetworkClock()
    clock.forward((1.5 * DAY - clock()) % DAY)
    return clock


@pytest.fixture
def metered(tmp_path: Path, storage: Storage, clock: Clock) -> Iterator[TenantService]:
    """A service whose tenant ``acme`` holds 3,600 bytes of ciphertext."""
    with open_state(tmp_path / "metered.db", clock=clock) as opened:
        service = TenantService(opened, storage, (KEK,), clock=clock)
        tenant = service.create_tenant("acme", root_grant="root").tenant
        TenantUsage(opened.rows, tenant).add(Change(0, 3_600, 1), {})
        yield service


def _byte_hours(service: TenantService, tenant_id: str | None = None) -> float:
    return sum(day.byte_hours for day in service.usage(tenant_id))


def test_a_clock_that_is_a_year_ahead_for_a_moment_charges_no_year(
    metered: TenantService, clock: Clock
) -> None:
    clock.forward(365 * DAY)
    ahead = _byte_hours(metered)
    clock.forward(-365 * DAY)
    for _ in range(2):
        assert ahead <= _byte_hours(metered) < 100  # a second makes one


def test_the_time_up_to_a_deletion_is_charged(
    metered: TenantService, tmp_path: Path, storage: Storage, clock: Clock
) -> None:
    """By another process, begun half an hour later."""
    clock.forward(1_800)
    with open_state(tmp_path / "metered.db", clock=clock) as opened:
        TenantService(opened, storage, (KEK,), clock=clock).delete_tenant("acme", purge=True)
    assert metered.tenants() == []
    assert 1_800 <= _byte_hours(metered) < 1_900


def test_usage_is_found_of_a_tenant_that_is_gone(metered: TenantService) -> None:
    metered.delete_tenant("acme", purge=True)
    (day,) = metered.usage("acme")
    assert day == metered.usage()[0]
    assert metered.usage("acme", last="1999-12-31") == []
    with pytest.raises(NoSuchTenant):
        metered.usage("nobody")


def test_usage_of_a_tenant_begins_with_the_day_when_it_was_made(
    metered: TenantService, clock: Clock
) -> None:
    """Which has what another of its name did on that very day, as the documentation says."""
    tomorrow = (int(clock() // DAY) + 1) * DAY + 60.0
    metered.delete_tenant("acme", purge=True)
    before = metered.usage("acme")
    clock.forward(tomorrow - clock())
    made = metered.create_tenant("acme", root_grant="root").tenant
    rows = metered.state.rows
    today = int(tomorrow // DAY)
    TenantUsage(rows, made).add(Change(), {today: Traffic(up=5)})
    metered.delete_tenant("acme", purge=True)
    made = metered.create_tenant("acme", root_grant="root").tenant
    TenantUsage(rows, made).add(Change(), {today: Traffic(up=7)})
    (day,) = metered.usage("acme")
    assert day.up == 12
    assert [each.day for each in metered.usage()] == [before[0].day, day.day]


def test_a_period_is_refused_that_ends_before_it_begins(metered: TenantService) -> None:
    for tenant_id in (None, "acme"):
        with pytest.raises(Invalid, match="after the last"):
            metered.usage(tenant_id, first="2031-01-02", last="2031-01-01")
    assert metered.usage("acme", last="1999-12-31") == []


def test_a_store_that_is_slow_does_not_hold_up_a_credential_for_long(
    service: TenantService,
) -> None:
    service.create_tenant("acme", root_grant="root")
    left: list[float | None] = []
    service.make_folder = lambda _tenant_id, _folder: left.append(remaining())
    service.create_credential("acme", "x", root="/photos")
    (seconds,) = left
    assert seconds is not None
    assert 0 < seconds <= FOLDER_SECONDS


def test_tokens_open_until_they_end(service: TenantService) -> None:
    service.create_tenant("acme", root_grant="root")
    operators = service.create_token("me")
    its = service.create_token("cloud", tenant_id="acme", expires=time.time() + 60)
    assert service.token(operators.text) == operators.token
    assert service.token(its.text) == its.token
    assert its.token.tenant == "acme"
    assert service.tokens() == [operators.token, its.token]
    for wrong in (
        "",
        "sbt_",
        its.text[:-1],
        its.text.replace("sbt_", ""),
        "sbt_\0_x",
        "sbt_x_\udcff",
    ):
        assert service.token(wrong) is None
    service.revoke_token(its.token.id)
    assert service.token(its.text) is None
    with pytest.raises(NoSuchToken):
        service.revoke_token(its.token.id)
    with pytest.raises(NoSuchTenant):
        service.create_token("x", tenant_id="nobody")
    with pytest.raises(Invalid):
        service.create_token("")


def test_no_secret_shows_in_a_repr_nor_in_the_database(
    service: TenantService, tmp_path: Path
) -> None:
    tenant = service.create_tenant("acme", root_grant="root-grant-in-clear")
    credential = service.create_credential("acme")
    token = service.create_token("me")
    (sealed,) = service.records.credentials.of("acme")
    secrets = [
        tenant.recovery_identity,
        tenant.recovery_grant,
        "root-grant-in-clear",
        credential.secret,
        token.text,
    ]
    shown = repr([tenant, credential, token, sealed, service.records.tenant("acme")])
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in secrets:
        assert secret not in shown
        assert secret.encode() not in stored


def test_all_tenants_come_back_from_the_bucket(
    service: TenantService, storage: Storage, tmp_path: Path
) -> None:
    service.create_tenant("acme", quota=5, partner="p/1", root_grant="root")
    service.create_tenant("other", bucket="second", own_grant="its own")
    secret = service.create_credential(
        "acme", "a", rights=Right.READ, root="/x", expires=time.time() + 60
    ).secret
    service.suspend("other")
    before = {row.tenant.id: row for row in service.records.tenants()}
    with open_state(tmp_path / "new.db") as state:
        again = TenantService(state, storage, (KEK,))
        found = list(Recovery(again.records, storage, (KEK,)).run(storage.store))
        assert [(each.tenant_id, each.problem, each.known) for each in found] == [
            ("acme", "", False),
            ("other", "", False),
        ]
        assert {row.tenant.id: row for row in again.records.tenants()} == before
        assert again.records.credentials.of("acme") == service.records.credentials.of("acme")
        assert _lets_in(SignIn(again.records), "acme.a", secret)
        found = list(Recovery(again.records, storage, (KEK,)).run(storage.store))
        assert all(each.known for each in found)


def test_a_wrong_key_brings_nothing_back_and_names_the_right_one(
    service: TenantService, storage: Storage, tmp_path: Path
) -> None:
    service.create_tenant("acme", root_grant="root")
    wrong = Kek(bytes(32))
    with open_state(tmp_path / "new.db") as state:
        again = TenantService(state, storage, (wrong,))
        (found,) = Recovery(again.records, storage, (wrong,)).run(storage.store)
        assert KEK.id.hex() in found.problem
        assert again.tenants() == []


def test_the_copy_in_the_bucket_follows_each_change(
    service: TenantService, storage: Storage
) -> None:
    service.create_tenant("acme", root_grant="root")
    service.create_credential("acme", "a")
    service.create_credential("acme", "b")
    service.revoke_credential("acme", "a")
    service.set_quota("acme", 7)
    copy = read_copy(storage.store, (KEK,), "acme")
    assert copy is not None
    row, credentials = copy
    assert row.tenant == service.tenant("acme")
    assert credentials == service.records.credentials.of("acme")


@pytest.mark.parametrize(
    "change",
    [
        lambda service: service.revoke_credential("acme", "a"),
        lambda service: service.create_credential("acme", "c"),
        lambda service: service.suspend("acme"),
        lambda service: service.set_quota("acme", 7),
    ],
    ids=["revoke", "create", "suspend", "quota"],
)
def test_the_copy_in_the_bucket_follows_though_the_process_dies_behind_the_change(
    service: TenantService,
    storage: Storage,
    state: DatabaseState,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[TenantService], object],
) -> None:
    service.create_tenant("acme", root_grant="root")
    service.create_credential("acme", "a")
    service.create_credential("acme", "b")
    before = _content(storage)
    with monkeypatch.context() as patched:
        patched.setattr(service.jobs, "run", _crash)
        with pytest.raises(_CrashError):
            change(service)
    assert _content(storage) == before
    assert not service.is_copied("acme")
    later = TenantService(state, storage, (KEK,))
    later.jobs.run_due()
    assert later.records.jobs.of("acme") == []
    copy = read_copy(storage.store, (KEK,), "acme")
    assert copy is not None
    assert copy[0].tenant == service.tenant("acme")
    assert copy[1] == service.records.credentials.of("acme")


def test_who_was_revoked_is_not_let_in_by_a_recovery(
    service: TenantService,
    storage: Storage,
    state: DatabaseState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the process died while it asked the satellite, and only the service went on."""
    service.create_tenant("acme", root_grant="root")
    secret = service.create_credential("acme", "a").secret
    monkeypatch.setattr(storage, "revoke", _crash)
    with pytest.raises(_CrashError):
        service.revoke_credential("acme", "a")
    TenantService(state, storage, (KEK,)).jobs.run_due()
    with open_state(tmp_path / "new.db") as new:
        again = TenantService(new, storage, (KEK,))
        (found,) = Recovery(again.records, storage, (KEK,)).run(storage.store)
        assert found.problem == ""
        assert not _lets_in(SignIn(again.records), "acme.a", secret)


def test_what_is_not_there_is_said(service: TenantService) -> None:
    for call in (
        lambda: service.tenant("nobody"),
        lambda: service.used("nobody"),
        lambda: service.suspend("nobody"),
        lambda: service.set_quota("nobody", 1),
        lambda: service.delete_tenant("nobody", purge=False),
        lambda: service.credentials("nobody"),
        lambda: service.create_credential("nobody"),
        lambda: service.revoke_credential("nobody"),
    ):
        with pytest.raises(NoSuchTenant):
            call()
    assert issubclass(NoSuchTenant, TenantError)
