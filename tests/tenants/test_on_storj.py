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
from bridge.store.api import Forbidden, ObjectStore
from bridge.stores import agent_of
from bridge.tenants.api import ALL_RIGHTS, Credential, Invalid, Right
from bridge.tenants.keks import new_kek
from bridge.tenants.recover import Recovery
from bridge.tenants.sealing import CREDENTIAL_GRANT, TENANT_GRANT
from bridge.tenants.sign_in import SignIn
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import keys, read

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


def _put(tree: FileTree, name: str, content: bytes) -> None:
    writer = tree.create(Path((name,)), size=len(content))
    try:
        writer.write(content)
        writer.commit()
    except BaseException:
        writer.abort()
        raise


def _get(tree: FileTree, name: str) -> bytes:
    content = b""
    with tree.open(Path((name,))) as reader:
        while block := reader.read(1 << 20):
            content += bytes(block)
    return content


def _names(tree: FileTree) -> set[str]:
    return {entry.name for entry in tree.list(Path())}


def _credential(services: Services, tenant: str, label: str = "") -> Credential:
    found = {each.label: each for each in services.administration.credentials(tenant)}
    return found[label]


def _grant(services: Services, tenant: str, label: str | None = None) -> str:
    """A grant as whoever broke into the bridge would have it: a tenant's or a credential's."""
    records, sealer = services.administration.records, services.administration.sealer
    if label is None:
        return sealer.open(TENANT_GRANT, tenant, records.tenant(tenant).sealed_grant)
    (row,) = (each for each in records.credentials.of(tenant) if each.credential.label == label)
    return sealer.open(CREDENTIAL_GRANT, tenant, row.sealed_grant)


def _store(services: Services, grant: str) -> ObjectStore:
    bucket = services.settings.store.bucket
    assert bucket is not None
    return services.stores.open("attacker", bucket=bucket, grant=grant)


@pytest.mark.parametrize("content", [b"inline", ONE_SEGMENT], ids=["inline", "on nodes"])
def test_each_tenant_has_its_own_files(tenants: Services, content: bytes) -> None:
    for name in ("a", "b"):
        tree = tenants.tenants.tree(_credential(tenants, name))
        _put(tree, "file", name.encode() + content)
    for name in ("a", "b"):
        tree = tenants.tenants.tree(_credential(tenants, name))
        assert _get(tree, "file") == name.encode() + content
        assert _names(tree) == {"file"}


def test_a_grant_taken_out_opens_nothing_of_another_tenant(tenants: Services) -> None:
    _put(tenants.tenants.tree(_credential(tenants, "b")), "file", ONE_SEGMENT)
    stolen = [_grant(tenants, "a"), _grant(tenants, "a", "")]
    theirs = keys(tenants.tenant("b").store.list("b/", recursive=True))
    for grant in stolen:
        store = _store(tenants, grant)
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
    _put(tenants.tenants.tree(_credential(tenants, "a")), "file", ONE_SEGMENT)
    root = _store(tenants, storj_project.grant)
    assert keys(root.list("a/", recursive=True)) == []
    assert {".bridge/a/tenant", ".bridge/b/tenant"} <= set(keys(root.list("", recursive=True)))


def test_storj_too_refuses_what_a_credential_may_not(tenants: Services) -> None:
    """The same request, with the bridge's own check and without."""
    _put(tenants.tenants.tree(_credential(tenants, "a")), "file", b"kept")
    administration = tenants.administration
    administration.create_credential("a", "reader", rights=Right.READ | Right.LIST)
    reader = _credential(tenants, "a", "reader")
    checked = tenants.tenants.tree(reader)
    unchecked = tenants.tenant("a").tree.acting_by(_store(tenants, _grant(tenants, "a", "reader")))
    trees: list[tuple[FileTree, type[FileError]]] = [
        (checked, NotAllowed),
        (unchecked, StorageForbidden),
    ]
    for tree, refused in trees:
        assert _get(tree, "file") == b"kept"
        assert _names(tree) == {"file"}
        changes: list[Callable[[FileTree], object]] = [
            lambda tree: _put(tree, "new", b"x"),
            lambda tree: _put(tree, "new", ONE_SEGMENT),
            lambda tree: _put(tree, "file", b"x"),
            lambda tree: tree.mkdir(Path(("folder",))),
            lambda tree: tree.delete(Path(("file",))),
            lambda tree: tree.move(Path(("file",)), Path(("moved",)), overwrite=False),
            lambda tree: tree.copy(Path(("file",)), Path(("copy",)), overwrite=False),
            lambda tree: tree.set_properties(Path(("file",)), set={"{x:}a": "<a/>"}),
        ]
        for change in changes:
            with pytest.raises(refused):
                change(tree)
        assert _names(tree) == {"file"}
        assert _get(tree, "file") == b"kept"


def test_a_revoked_credentials_grant_is_worthless(tenants: Services) -> None:
    tenants.administration.create_credential("a", "gone")
    grant = _grant(tenants, "a", "gone")
    tenants.administration.revoke_credential("a", "gone")
    assert tenants.administration.jobs_left("a") == []
    with pytest.raises(Forbidden):
        list(_store(tenants, grant).list("a/", recursive=True))
    assert _names(tenants.tenants.tree(_credential(tenants, "a"))) == set()


def test_a_revocation_waits_for_the_satellite(tenants: Services, network: Network) -> None:
    tenants.administration.create_credential("a", "gone")
    grant = _grant(tenants, "a", "gone")
    network.cut("satellite")
    tenants.administration.revoke_credential("a", "gone")
    assert SignIn(tenants.administration.records).authenticate("a.gone", "", "") is None
    assert {job.kind for job in tenants.administration.jobs_left("a")} >= {"revoke"}
    network.restore()
    assert tenants.administration.jobs.run_for("a") == []
    with pytest.raises(Forbidden):
        list(_store(tenants, grant).list("a/", recursive=True))


def test_all_is_back_without_the_database(
    tenants: Services, settings: Callable[[str], Settings], storj_project: Project
) -> None:
    _put(tenants.tenants.tree(_credential(tenants, "a")), "file", ONE_SEGMENT)
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
        assert _get(again.tenants.tree(_credential(again, "a")), "file") == ONE_SEGMENT
        assert SignIn(again.administration.records).authenticate("b.x", secret, "") is not None


def test_a_purged_tenant_leaves_nothing(tenants: Services, storj_project: Project) -> None:
    _put(tenants.tenants.tree(_credential(tenants, "a")), "file", ONE_SEGMENT)
    own = tenants.tenant("a").store
    tenants.administration.delete_tenant("a", purge=True)
    assert keys(own.list("a/", recursive=True)) == []
    root = _store(tenants, storj_project.grant)
    assert {key.split("/")[1] for key in keys(root.list("", recursive=True))} == {"b"}


def test_what_comes_after_a_revocation_or_a_purge_does_not_stay(tenants: Services) -> None:
    administration = tenants.administration
    administration.create_credential("a", "gone")
    begun = tenants.tenants.tree(_credential(tenants, "a", "gone")).create(Path(("begun",)))
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
    tree = services.tenants.tree(_credential(services, "guest"))
    _put(tree, "file", ONE_SEGMENT)
    assert _get(tree, "file") == ONE_SEGMENT
    with pytest.raises(Invalid):
        services.administration.create_tenant("other")
    with pytest.raises(Invalid):
        services.administration.create_tenant("other", root_grant=own, own_grant=own)
    assert [each.id for each in services.administration.tenants()] == ["guest"]


def test_no_grant_lies_in_the_clear(
    tenants: Services, storj_project: Project, tmp_path: FilePath
) -> None:
    """Neither in the database nor in what the root grant can read of the bucket."""
    grants = [storj_project.grant, _grant(tenants, "a"), _grant(tenants, "a", "")]
    root = _store(tenants, storj_project.grant)
    kept = b"".join(read(root, key) for key in keys(root.list(".bridge/", recursive=True)))
    kept += b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for grant in grants:
        assert len(grant) > 100
        for start in range(0, len(grant) - 40, 40):
            assert grant[start : start + 40].encode() not in kept
