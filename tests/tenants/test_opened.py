"""Tenants in use: opened once, dropped when idle, and never taken for another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath

import pytest

from bridge.crypto.keyring import Kek
from bridge.files.api import FileTree, Writer
from bridge.files.errors import NoSuchFile, NotAllowed, StorageFull, StorageUnavailable
from bridge.files.path import Path
from bridge.state.database import DatabaseState, open_state
from bridge.store.api import ObjectStore
from bridge.tenants import opened as module
from bridge.tenants.api import Credential, Right, Tenant
from bridge.tenants.opened import IDLE, OpenTenants
from bridge.tenants.service import TenantService
from bridge.tenants.standing import REMEMBERED
from tests.tenants.storage import Storage

KEK = Kek(bytes(range(32)))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: FilePath) -> Iterator[DatabaseState]:
    opened = open_state(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def service(state: DatabaseState, storage: Storage) -> TenantService:
    return TenantService(state, storage, (KEK,))


@pytest.fixture
def tenants(
    service: TenantService, state: DatabaseState, storage: Storage, clock: Clock
) -> Iterator[OpenTenants]:
    made = OpenTenants(service.records, storage, state, (KEK,), cache_names=10_000, clock=clock)
    yield made
    made.close()


@pytest.fixture
def credential(service: TenantService) -> Callable[..., Credential]:
    """Makes a credential, and its tenant where that is missing."""

    def make(name: str, label: str = "") -> Credential:
        if name not in {each.id for each in service.tenants()}:
            service.create_tenant(name, root_grant="root")
        return service.create_credential(name, label).credential

    return make


def _put(tree: FileTree, name: str, content: bytes = b"x") -> None:
    writer = tree.create(Path((name,)), size=len(content))
    writer.write(content)
    writer.commit()


def test_a_tenant_is_opened_once(
    tenants: OpenTenants, credential: Callable[..., Credential]
) -> None:
    who = credential("acme")
    with ThreadPoolExecutor(8) as pool:
        found = {id(each) for each in pool.map(lambda _: tenants.tenant("acme"), range(32))}
    assert len(found) == 1
    _put(tenants.tree(who), "file")
    assert tenants.tree(who).stat(Path(("file",))).size == 1


def test_an_idle_tenant_is_dropped_and_who_works_with_it_goes_on(
    tenants: OpenTenants, credential: Callable[..., Credential], clock: Clock
) -> None:
    who = credential("acme")
    tree = tenants.tree(who)
    tenants.tenant("acme").usage.count(tree.usage)
    clock.now += IDLE - 1
    tenants.drop_idle()
    assert len(list(tenants)) == 1
    clock.now += 2
    tenants.drop_idle()
    assert list(tenants) == []
    _put(tree, "file")
    assert tenants.tree(who).stat(Path(("file",))).size == 1


def test_a_tenant_to_whom_something_comes_is_not_dropped(
    tenants: OpenTenants, credential: Callable[..., Credential], clock: Clock
) -> None:
    tree = tenants.tree(credential("acme"))
    tenants.tenant("acme").usage.count(tree.usage)
    writer = tree.create(Path(("file",)), size=1)
    clock.now += 2 * IDLE
    tenants.drop_idle()
    assert len(list(tenants)) == 1
    writer.write(b"x")
    writer.commit()
    tenants.tenant("acme").usage.flush()
    clock.now += 2 * IDLE
    tenants.drop_idle()
    assert list(tenants) == []


def test_another_tenant_of_the_same_name_is_another(
    tenants: OpenTenants, service: TenantService, credential: Callable[..., Credential]
) -> None:
    _put(tenants.tree(credential("acme")), "file")
    service.delete_tenant("acme", purge=True)
    again = tenants.tree(credential("acme"))
    with pytest.raises(NoSuchFile):
        again.stat(Path(("file",)))
    _put(again, "new")
    assert [entry.name for entry in again.list(Path())] == ["new"]


def test_a_tenant_that_is_gone_is_dropped(
    tenants: OpenTenants, service: TenantService, credential: Callable[..., Credential]
) -> None:
    who = credential("acme")
    tenants.tree(who)
    service.delete_tenant("acme", purge=True)
    tenants.confirm()
    assert list(tenants) == []
    with pytest.raises(StorageUnavailable):
        tenants.tree(who)


def test_a_credential_of_a_former_tenant_of_the_name_sees_nothing_of_the_next(
    tenants: OpenTenants,
    service: TenantService,
    credential: Callable[..., Credential],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next one is made while the former one's credential is being looked at."""
    former = credential("acme", "a")
    rows = service.records.credentials
    look = rows.sign_in

    def look_before(tenant_id: str, label: str) -> object:
        found = look(tenant_id, label)
        monkeypatch.undo()
        service.delete_tenant("acme", purge=True)
        _put(tenants.tree(credential("acme", "b")), "secret")
        return found

    monkeypatch.setattr(rows, "sign_in", look_before)
    with pytest.raises(StorageUnavailable):
        tenants.tree(former)


class TestWhatIsUnderWayWhileItsTenantIsDropped:
    @pytest.fixture
    def writer(
        self,
        tenants: OpenTenants,
        service: TenantService,
        credential: Callable[..., Credential],
    ) -> Writer:
        """Half of an upload of ``acme``, whose grant was then replaced."""
        tree = tenants.tree(credential("acme"))
        tenants.tenant("acme").usage.count(tree.usage)
        writer = tree.create(Path(("file",)))
        writer.write(b"x" * 1_000)
        service.replace_grant("acme", root_grant="root")
        return writer

    def _end(self, writer: Writer) -> None:
        writer.write(b"x" * 1_000)
        writer.commit()

    def _told(self, service: TenantService) -> tuple[int, int, int]:
        used = service.used("acme")
        return used.bytes, used.files, sum(day.up for day in service.usage("acme"))

    @pytest.mark.parametrize("confirmed", [True, False])
    def test_is_told_by_the_one_that_is_opened_then(
        self, tenants: OpenTenants, service: TenantService, writer: Writer, *, confirmed: bool
    ) -> None:
        (former,) = tenants
        who = service.credentials("acme")[0]
        service.set_quota("acme", 2_500)
        if confirmed:
            tenants.confirm()
            assert list(tenants) == []
            assert tenants.tenant("acme").usage.quota == 2_500
        tree = tenants.tree(who)
        (opened,) = tenants
        assert opened is not former
        assert opened.usage.available == 1_500
        self._end(writer)
        opened.usage.flush()
        assert self._told(service) == (2_000, 1, 2_000)
        with pytest.raises(StorageFull):
            tree.create(Path(("more",)), size=501)

    def test_is_told_though_nobody_opens_it_again(
        self, tenants: OpenTenants, service: TenantService, writer: Writer, clock: Clock
    ) -> None:
        for _ in range(3):  # it takes long
            tenants.confirm()
            clock.now += 2 * IDLE
        self._end(writer)
        tenants.confirm()
        assert list(tenants) == []
        assert self._told(service) == (2_000, 1, 2_000)

    def test_is_told_for_as_long_as_something_moves(
        self,
        tenants: OpenTenants,
        service: TenantService,
        credential: Callable[..., Credential],
        clock: Clock,
    ) -> None:
        tree = tenants.tree(credential("acme"))
        _put(tree, "file", bytes(1 << 20))
        tenants.tenant("acme").usage.count(tree.usage)
        service.replace_grant("acme", root_grant="root")
        tenants.confirm()
        with tree.open(Path(("file",))) as reader:
            moved = []
            for _ in range(3):
                moved.append(len(reader.read(10)))
                tenants.confirm()
                clock.now += 0.6 * IDLE
                tenants.confirm()
        assert all(moved)
        assert [day.down for day in service.usage("acme")] == [sum(moved)]

    def test_is_told_when_all_are_closed(
        self, tenants: OpenTenants, service: TenantService, writer: Writer
    ) -> None:
        tenants.confirm()
        self._end(writer)
        tenants.close()
        assert self._told(service) == (2_000, 1, 2_000)

    def test_is_remembered_until_nothing_has_come_for_long(
        self, tenants: OpenTenants, service: TenantService, writer: Writer, clock: Clock
    ) -> None:
        (former,) = tenants
        tenants.confirm()
        self._end(writer)
        for seconds in (0.0, IDLE, 1.0):
            clock.now += seconds
            tenants.confirm()
        opened = tenants.tenant("acme")
        assert opened.usage is not former.usage
        assert opened.usage.used == service.used("acme")

    def test_says_nothing_of_the_next_tenant_of_the_name(
        self,
        tenants: OpenTenants,
        service: TenantService,
        credential: Callable[..., Credential],
        writer: Writer,
    ) -> None:
        tenants.confirm()
        writer.write(b"x" * 1_000)
        service.delete_tenant("acme", purge=True)
        tenants.tree(credential("acme"))
        tenants.confirm()
        (opened,) = tenants
        opened.usage.flush()
        assert self._told(service)[:2] == (0, 0)


def test_stores_of_credentials_are_kept_and_bounded(
    tenants: OpenTenants,
    credential: Callable[..., Credential],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_VIEWS", 3)
    everybody = [credential("acme", f"c{number}") for number in range(5)]
    for who in everybody:
        tenants.tree(who)
    opened = tenants.tenant("acme")
    assert list(opened.views) == ["c2", "c3", "c4"]
    kept = opened.views["c2"][1]
    tenants.tree(everybody[2])
    assert list(opened.views) == ["c3", "c4", "c2"]
    assert opened.views["c2"][1] is kept


def test_the_names_remembered_are_shared(
    tenants: OpenTenants, credential: Callable[..., Credential], clock: Clock
) -> None:
    one, other = credential("one"), credential("other")
    tenants.tree(one)
    assert tenants.tenant("one").tree.vault.cache.listing_limit == 5_000
    tenants.tree(other)
    limits = {each.tree.vault.cache.listing_limit for each in tenants}
    assert limits == {2_500}
    clock.now += 2 * module.ACTIVE
    tenants.tree(other)
    tenants.share_names()
    assert {each.tenant.id: each.tree.vault.cache.listing_limit for each in tenants} == {
        "one": module.FEWEST_NAMES // 2,
        "other": 5_000,
    }


def test_who_waits_for_a_slow_store_gives_the_thread_back(
    tenants: OpenTenants,
    storage: Storage,
    credential: Callable[..., Credential],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One opens; the others are told to come again, and other tenants are served."""
    slow, other = credential("slow"), credential("other")
    monkeypatch.setattr(module, "PATIENCE_TO_OPEN", 0.05)
    inside, go_on = threading.Event(), threading.Event()
    opened = storage.open

    def open_slowly(tenant: Tenant, grant: str) -> ObjectStore:
        if tenant.id == "slow":
            inside.set()
            go_on.wait(20)
        return opened(tenant, grant)

    monkeypatch.setattr(storage, "open", open_slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(tenants.tree, slow)
        assert inside.wait(20)
        with pytest.raises(StorageUnavailable):
            tenants.tree(slow)
        _put(tenants.tree(other), "file")
        go_on.set()
        _put(first.result(20), "file")


def test_a_credential_that_is_another_by_now_opens_nothing(
    tenants: OpenTenants, service: TenantService, credential: Callable[..., Credential]
) -> None:
    """Between the look at its secret and the opening it was revoked, or its tenant suspended."""
    who = credential("acme", "a")
    service.revoke_credential("acme", "a")
    service.create_credential("acme", "a", rights=Right.READ)
    with pytest.raises(StorageUnavailable):
        tenants.tree(who)
    other = credential("acme", "b")
    service.suspend("acme")
    with pytest.raises(StorageUnavailable):
        tenants.tree(other)


@pytest.fixture
def revoked_while_opening(
    service: TenantService,
    storage: Storage,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[float], None]:
    """Has the next opening take so many seconds, in which another process revokes ``acme.a``."""

    def prepare(seconds: float) -> None:
        opened = storage.open

        def open_slowly(tenant: Tenant, grant: str) -> ObjectStore:
            monkeypatch.undo()
            service.revoke_credential("acme", "a")
            clock.now += seconds
            return opened(tenant, grant)

        monkeypatch.setattr(storage, "open", open_slowly)

    return prepare


def test_a_slow_opening_lets_nobody_in_who_was_revoked_meanwhile(
    tenants: OpenTenants,
    credential: Callable[..., Credential],
    revoked_while_opening: Callable[[float], None],
) -> None:
    who = credential("acme", "a")
    revoked_while_opening(REMEMBERED)
    with pytest.raises(NotAllowed, match="revoked"):
        tenants.tree(who)


def test_what_a_quick_opening_takes_is_not_added_to_what_is_remembered(
    tenants: OpenTenants,
    credential: Callable[..., Credential],
    clock: Clock,
    revoked_while_opening: Callable[[float], None],
) -> None:
    who = credential("acme", "a")
    revoked_while_opening(REMEMBERED - 1)
    tree = tenants.tree(who)
    clock.now += 1
    with pytest.raises(NotAllowed, match="revoked"):
        tree.stat(Path())
