"""Tenants whose files lie on a real Storj network, each by grants of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

from bridge.app import Services, keks_of
from bridge.files.api import FileTree
from bridge.files.errors import FileError, NotAllowed, StorageForbidden
from bridge.files.path import Path
from bridge.settings import Settings, load
from bridge.storage import keepings
from bridge.store.api import Forbidden
from bridge.stores import agent_of
from bridge.tenants.api import ALL_RIGHTS, Invalid, Right
from bridge.tenants.keks import new_kek
from bridge.tenants.recover import Recovery
from bridge.tenants.sign_in import SignIn
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import keys, read
from tests.tenants.on_storj import credential_of, get, grant_of, names, put, store_by

ONE_SEGMENT = b"s" * 70_000


@pytest.fixture
def settings(
    network: Network, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Settings]:
    monkeypatch.setenv("STORJ_BRIDGE_KEYS__KEK", new_kek())
    store = {"kind": "storj", "bucket": network.new_bucket_name()}
    return lambda name: load(None, {"store": store, "state": {"path": tmp_path / name}})


@pytest.fixture
def services(settings: Callable[[str], Settings]) -> Iterator[Services]:
    with Services.open(settings("state.db")) as opened:
        yield opened


@pytest.fixture
def tenants(services: Services, storj_project: Project) -> Services:
    """With the tenants ``a`` and ``b``, each with a credential that may do everything."""
    for name in ("a", "b"):
        services.administration.create_tenant(name, root_grant=storj_project.grant)
        services.administration.create_credential(name)
    return services


@pytest.mark.parametrize("content", [b"inline", ONE_SEGMENT], ids=["inline", "on nodes"])
def test_each_tenant_has_its_own_files(tenants: Services, content: bytes) -> None:
    for name in ("a", "b"):
        tree = tenants.tenants.tree(credential_of(tenants, name))
        put(tree, "file", name.encode() + content)
    for name in ("a", "b"):
        tree = tenants.tenants.tree(credential_of(tenants, name))
        assert get(tree, "file") == name.encode() + content
        assert names(tree) == {"file"}


def test_a_grant_taken_out_opens_nothing_of_another_tenant(tenants: Services) -> None:
    put(tenants.tenants.tree(credential_of(tenants, "b")), "file", ONE_SEGMENT)
    stolen = [grant_of(tenants, "a"), grant_of(tenants, "a", "")]
    theirs = keys(tenants.tenant("b").store.list("b/", recursive=True))
    for grant in stolen:
        store = store_by(tenants, grant)
        attempts: list[Callable[[], object]] = [
            lambda store=store: list(store.list("b/", recursive=True)),  # type: ignore[misc]
            lambda store=store: list(store.list(".bridge/b/")),  # type: ignore[misc]
            lambda store=store: store.put("b/new").commit({}),  # type: ignore[misc]
        ]
        for key in (*theirs, ".bridge/b/tenant"):
            attempts += [
                lambda store=store, key=key: read(store, key),  # type: ignore[misc]
                lambda store=store, key=key: store.stat(key),  # type: ignore[misc]
                lambda store=store, key=key: store.delete(key),  # type: ignore[misc]
                lambda store=store, key=key: store.move(key, "a/stolen"),  # type: ignore[misc]
                lambda store=store, key=key: store.copy(key, "a/stolen"),  # type: ignore[misc]
                lambda store=store, key=key: store.put(key).commit({}),  # type: ignore[misc]
            ]
        for attempt in attempts:
            with pytest.raises(Forbidden):
                attempt()
        store.close()
    assert keys(tenants.tenant("b").store.list("b/", recursive=True)) == theirs


def test_the_root_grant_reads_no_files(tenants: Services, storj_project: Project) -> None:
    put(tenants.tenants.tree(credential_of(tenants, "a")), "file", ONE_SEGMENT)
    root = store_by(tenants, storj_project.grant)
    assert keys(root.list("a/", recursive=True)) == []
    assert {".bridge/a/tenant", ".bridge/b/tenant"} <= set(keys(root.list("", recursive=True)))


def test_storj_too_refuses_what_a_credential_may_not(tenants: Services) -> None:
    """The same request, with the bridge's own check and without."""
    put(tenants.tenants.tree(credential_of(tenants, "a")), "file", b"kept")
    administration = tenants.administration
    administration.create_credential("a", "reader", rights=Right.READ | Right.LIST)
    reader = credential_of(tenants, "a", "reader")
    checked = tenants.tenants.tree(reader)
    unchecked = tenants.tenant("a").tree.acting_by(
        store_by(tenants, grant_of(tenants, "a", "reader"))
    )
    trees: list[tuple[FileTree, type[FileError]]] = [
        (checked, NotAllowed),
        (unchecked, StorageForbidden),
    ]
    for tree, refused in trees:
        assert get(tree, "file") == b"kept"
        assert names(tree) == {"file"}
        changes: list[Callable[[FileTree], object]] = [
            lambda tree: put(tree, "new", b"x"),
            lambda tree: put(tree, "new", ONE_SEGMENT),
            lambda tree: put(tree, "file", b"x"),
            lambda tree: tree.mkdir(Path(("folder",))),
            lambda tree: tree.delete(Path(("file",))),
            lambda tree: tree.move(Path(("file",)), Path(("moved",)), overwrite=False),
            lambda tree: tree.copy(Path(("file",)), Path(("copy",)), overwrite=False),
            lambda tree: tree.set_properties(Path(("file",)), set={"{x:}a": "<a/>"}),
        ]
        for change in changes:
            with pytest.raises(refused):
                change(tree)
        assert names(tree) == {"file"}
        assert get(tree, "file") == b"kept"


def test_a_revoked_credentials_grant_is_worthless(tenants: Services) -> None:
    tenants.administration.create_credential("a", "gone")
    grant = grant_of(tenants, "a", "gone")
    tenants.administration.revoke_credential("a", "gone")
    assert tenants.administration.jobs_left("a") == []
    with pytest.raises(Forbidden):
        list(store_by(tenants, grant).list("a/", recursive=True))
    assert names(tenants.tenants.tree(credential_of(tenants, "a"))) == set()


def test_a_revocation_waits_for_the_satellite(tenants: Services, network: Network) -> None:
    tenants.administration.create_credential("a", "gone")
    grant = grant_of(tenants, "a", "gone")
    network.cut("satellite")
    tenants.administration.revoke_credential("a", "gone")
    assert SignIn(tenants.administration.records).authenticate("a.gone", "", "") is None
    assert {job.kind for job in tenants.administration.jobs_left("a")} >= {"revoke"}
    network.restore()
    assert tenants.administration.jobs.run_for("a") == []
    with pytest.raises(Forbidden):
        list(store_by(tenants, grant).list("a/", recursive=True))


def test_all_is_back_without_the_database(
    tenants: Services, settings: Callable[[str], Settings], storj_project: Project
) -> None:
    put(tenants.tenants.tree(credential_of(tenants, "a")), "file", ONE_SEGMENT)
    secret = tenants.administration.create_credential("b", "x", rights=ALL_RIGHTS).secret
    with Services.open(settings("new.db")) as again:
        recovery = Recovery(again.administration.records, again.storage, keks_of(again.settings))
        (keeping,) = keepings(
            again.stores,
            "storj",
            grant=storj_project.grant,
            buckets=(),
            user_agent=agent_of(again.settings.store),
        )
        found = list(recovery.run(keeping.store, keeping.wanted))
        assert [(each.tenant_id, each.problem) for each in found] == [("a", ""), ("b", "")]
        assert get(again.tenants.tree(credential_of(again, "a")), "file") == ONE_SEGMENT
        assert SignIn(again.administration.records).authenticate("b.x", secret, "") is not None


def test_a_purged_tenant_leaves_nothing(tenants: Services, storj_project: Project) -> None:
    put(tenants.tenants.tree(credential_of(tenants, "a")), "file", ONE_SEGMENT)
    own = tenants.tenant("a").store
    tenants.administration.delete_tenant("a", purge=True)
    assert keys(own.list("a/", recursive=True)) == []
    root = store_by(tenants, storj_project.grant)
    assert {key.split("/")[1] for key in keys(root.list("", recursive=True))} == {"b"}


def test_what_comes_after_a_revocation_or_a_purge_does_not_stay(tenants: Services) -> None:
    administration = tenants.administration
    administration.create_credential("a", "gone")
    begun = tenants.tenants.tree(credential_of(tenants, "a", "gone")).create(Path(("begun",)))
    begun.write(ONE_SEGMENT)
    late = tenants.tenant("a").tree.create(Path(("late",)))  # asks nobody, as one who asked before
    late.write(ONE_SEGMENT)
    own = tenants.tenant("a").store
    administration.revoke_credential("a", "gone")
    with pytest.raises(NotAllowed, match="revoked"):
        begun.commit()
    administration.delete_tenant("a", purge=True)
    late.commit()
    assert len(keys(own.list("a/", recursive=True))) == 1
    administration.jobs.run_for("a")
    assert keys(own.list("a/", recursive=True)) == []
    assert administration.records.jobs.of("a") == []


def test_a_tenant_may_bring_a_grant(services: Services, network: Network) -> None:
    own = network.new_project().grant
    made = services.administration.create_tenant("guest", own_grant=own)
    assert made.recovery_grant
    services.administration.create_credential("guest")
    tree = services.tenants.tree(credential_of(services, "guest"))
    put(tree, "file", ONE_SEGMENT)
    assert get(tree, "file") == ONE_SEGMENT
    with pytest.raises(Invalid):
        services.administration.create_tenant("other")
    with pytest.raises(Invalid):
        services.administration.create_tenant("other", root_grant=own, own_grant=own)
    assert [each.id for each in services.administration.tenants()] == ["guest"]


def test_no_grant_lies_in_the_clear(
    tenants: Services, storj_project: Project, tmp_path: FilePath
) -> None:
    """Neither in the database nor in what the root grant can read of the bucket."""
    grants = [storj_project.grant, grant_of(tenants, "a"), grant_of(tenants, "a", "")]
    root = store_by(tenants, storj_project.grant)
    kept = b"".join(read(root, key) for key in keys(root.list(".bridge/", recursive=True)))
    kept += b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for grant in grants:
        assert len(grant) > 100
        for start in range(0, len(grant) - 40, 40):
            assert grant[start : start + 40].encode() not in kept
