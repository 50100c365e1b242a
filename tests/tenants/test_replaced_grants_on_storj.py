"""Grants of tenants replaced on a real Storj network, while files are used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import pytest

from bridge.app import Services
from bridge.files.errors import FileError
from bridge.settings import Settings, load
from bridge.store.api import Forbidden
from bridge.store.storj.access import Access
from bridge.store.storj.facts import ALL, READ, Place
from bridge.store.storj.refusals import GrantError
from bridge.tenants.api import Invalid, NotForTenant, Right, Status
from bridge.tenants.bucket_copy import read_copy
from bridge.tenants.keks import new_kek
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import keys
from tests.store.storj.grants import with_another_passphrase
from tests.store.storj.opening import USER_AGENT
from tests.tenants.on_storj import credential_of, get, grant_of, names, put, store_by

CONTENT = b"s" * 70_000


@pytest.fixture
def settings(
    network: Network, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Settings]:
    monkeypatch.setenv("STORJ_BRIDGE_KEYS__KEK", new_kek())
    store = {
        "kind": "storj",
        "bucket": network.new_bucket_name(),
        "retry_seconds": 2,
        "call_seconds": 5,
    }
    return lambda: load(None, {"store": store, "state": {"path": tmp_path / "state.db"}})


@pytest.fixture
def services(settings: Callable[[], Settings]) -> Iterator[Services]:
    with Services.open(settings()) as opened:
        yield opened


@pytest.fixture
def root(storj_project: Project) -> Access:
    return Access.parse(storj_project.grant)


def _limited(root: Access, seconds: float = 3600) -> str:
    """A grant for all, for a while."""
    return root.share(ALL, None, not_after=time.time() + seconds).serialize()


def _validity(text: str) -> float | None:
    return Access.parse(text).facts.not_after


def _key(text: str) -> str:
    return Access.parse(text).facts.key_id


def _make(services: Services, *, root: str | None = None, own: str | None = None) -> None:
    """The tenant ``a``, with a file and credentials of all kinds."""
    administration = services.administration
    administration.create_tenant("a", root_grant=root, own_grant=own)
    administration.create_credential("a")
    administration.create_credential("a", "reader", rights=Right.READ | Right.LIST)
    administration.create_credential("a", "brief", expires=time.time() + 1)
    put(services.tenants.tree(credential_of(services, "a")), "file", CONTENT)


def _refused(services: Services, grant: str) -> bool:
    """Whether the satellite takes what is cut from a grant no more; of itself it may remember."""
    cut = Access.parse(grant).share(READ, None).serialize()
    store = store_by(services, cut)
    try:
        list(store.list("a/", recursive=True))
    except Forbidden:
        return True
    finally:
        store.close()
    return False


def test_a_grant_cut_from_a_limited_root_is_replaced_by_one_of_another_root(
    services: Services, settings: Callable[[], Settings], root: Access
) -> None:
    _make(services, root=_limited(root))
    former = [grant_of(services, "a", label) for label in (None, "", "reader", "brief")]
    assert all(_validity(grant) for grant in former)
    with Services.open(settings()) as other:  # another process
        owner, reader = (credential_of(services, "a", label) for label in ("", "reader"))
        elsewhere = other.tenants.tree(owner)
        assert get(elsewhere, "file") == CONTENT
        vault = keys(services.tenants.tenant("a").store.list("a/", recursive=True))
        new = services.administration.replace_grant("a", root_grant=root.serialize())
        assert not new.former_works
        assert services.administration.jobs_left("a") == []
        for each in (services, other):
            tree = each.tenants.tree(owner)
            assert get(tree, "file") == CONTENT
            put(tree, f"new {id(each)}", CONTENT)
            assert _validity(grant_of(each, "a")) is None
        assert len(names(other.tenants.tree(reader))) == 3
        other.tenants.confirm()
        assert [opened.tenant.id for opened in other.tenants] == ["a"]
        with pytest.raises(FileError):
            put(services.tenants.tree(reader), "not allowed", CONTENT)
    now = [grant_of(services, "a", label) for label in (None, "", "reader", "brief")]
    assert [bool(_validity(grant)) for grant in now] == [False, False, False, True]
    assert all(_refused(services, grant) for grant in former)
    store = store_by(services, new.recovery_grant)
    assert set(vault) < set(keys(store.list("a/", recursive=True)))
    store.close()
    kept = read_copy(services.tenants.tenant("a").store, services.keks, "a")
    assert kept is not None
    row = services.administration.records.tenant("a")
    assert kept[0].sealed_grant == row.sealed_grant
    assert kept[1] == services.administration.records.credentials.of("a")


def test_a_process_that_nobody_asks_notices_too(
    services: Services, settings: Callable[[], Settings], root: Access
) -> None:
    _make(services, root=_limited(root))
    with Services.open(settings()) as other:
        other.tenants.tree(credential_of(services, "a"))
        services.administration.replace_grant("a", root_grant=root.serialize())
        other.tenants.confirm()  # as it does every 2 s
        assert list(other.tenants) == []


def test_a_grant_that_was_brought_and_is_over_is_replaced(services: Services, root: Access) -> None:
    ends = time.time() + 8
    places = [Place(services.settings.store.bucket or "", each) for each in ("a/", ".bridge/a/")]
    root.ensure_bucket(places[0].bucket, USER_AGENT)
    brought = root.share(ALL, places, not_after=ends)
    _make(services, own=brought.serialize())
    owner = credential_of(services, "a")
    former = [grant_of(services, "a", label) for label in (None, "", "reader")]
    gone = services.administration.create_credential("a", "gone").credential
    while time.time() < ends + 1:
        time.sleep(0.1)
    with pytest.raises(FileError):
        get(services.tenants.tree(owner), "file")
    with pytest.raises(Invalid, match="expired on"):
        services.administration.replace_grant("a", own_grant=brought.serialize())
    # A credential of a grant that is over goes without being tried again for ever.
    services.administration.revoke_credential("a", gone.label)
    assert {job.kind for job in services.administration.records.jobs.of("a")} <= {"copy"}
    own = root.share(ALL, places).serialize()
    new = services.administration.replace_grant("a", own_grant=own)
    assert not new.former_works
    assert services.administration.jobs.run_for("a") == []
    assert get(services.tenants.tree(owner), "file") == CONTENT
    assert _key(grant_of(services, "a")) == _key(own)
    assert all(_refused(services, grant) for grant in former)


def test_of_a_grant_that_cannot_be_revoked_the_credentials_are(
    services: Services, root: Access
) -> None:
    _make(services, own=root.share(ALL, None).serialize())
    former = [grant_of(services, "a", label) for label in ("", "reader")]
    first = grant_of(services, "a")
    new = services.administration.replace_grant("a", own_grant=root.share(ALL, None).serialize())
    assert new.former_works
    assert services.administration.records.jobs.of("a") == []
    assert not _refused(services, first)
    assert all(_refused(services, grant) for grant in former)
    # Again, with the one that it has: the same, and the recovery grant is shown again.
    again = services.administration.replace_grant("a", own_grant=grant_of(services, "a"))
    assert not again.former_works
    assert again.recovery_grant != new.recovery_grant
    # By what both were cut from, it is revoked.
    own = grant_of(services, "a")
    assert not services.administration.replace_grant("a", root_grant=root.serialize()).former_works
    assert _refused(services, own)
    assert get(services.tenants.tree(credential_of(services, "a")), "file") == CONTENT


def test_a_grant_that_does_not_open_the_vault_changes_nothing(
    services: Services, network: Network, root: Access
) -> None:
    _make(services, root=root.serialize())
    bucket = services.settings.store.bucket or ""
    before = services.administration.records.tenant("a")
    stranger = Access.parse(network.new_project().grant)
    whole = root.serialize()
    blind = with_another_passphrase(whole)
    revoked = root.share(ALL, None)
    root.revoke(revoked, USER_AGENT)
    wrong: list[tuple[str, str, str]] = [
        ("own_grant", blind, "another encryption passphrase"),
        ("root_grant", blind, "another encryption passphrase"),
        ("own_grant", whole, "another encryption key"),
        ("own_grant", root.share(ALL, [Place("elsewhere")]).serialize(), "does not reach folder"),
        ("root_grant", root.share(READ, None).serialize(), "does not allow upload"),
        ("root_grant", stranger.serialize(), f"without the bucket {bucket}"),
    ]
    for kind, grant, words in wrong:
        with pytest.raises(Invalid, match=words) as caught:
            services.administration.replace_grant("a", **{kind: grant})
        assert grant[:40] not in str(caught.value)
    stranger.ensure_bucket(bucket, USER_AGENT)
    with pytest.raises(Invalid, match="of another project"):
        services.administration.replace_grant("a", own_grant=stranger.serialize())
    with pytest.raises(GrantError, match="revoked"):
        services.administration.replace_grant("a", root_grant=revoked.serialize())
    with pytest.raises(Invalid, match="one of the two"):
        services.administration.replace_grant("a")
    with pytest.raises(Invalid, match="one of the two"):
        services.administration.replace_grant("a", root_grant=whole, own_grant=whole)
    assert services.administration.records.tenant("a") == before
    assert services.administration.records.jobs.of("a") == []
    assert not _refused(services, grant_of(services, "a"))


def test_interrupted_at_its_worst_moment_it_is_called_again(
    services: Services, root: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(services, root=_limited(root))
    former = grant_of(services, "a")
    records = services.administration.records

    class Died(BaseException):
        pass

    def die(*_: object) -> bool:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(records, "replace_grant", die)
        with pytest.raises(Died):
            services.administration.replace_grant("a", root_grant=root.serialize())
    assert grant_of(services, "a") == former
    assert _refused(services, former)
    new = services.administration.replace_grant("a", root_grant=root.serialize())
    assert not new.former_works
    assert services.administration.jobs_left("a") == []
    assert get(services.tenants.tree(credential_of(services, "a")), "file") == CONTENT


def test_a_deletion_that_had_no_grant_any_more_is_ended(services: Services, root: Access) -> None:
    """What is deleted meanwhile needs no whole vault for its grant to be replaced."""
    _make(services, root=_limited(root, 6))
    ends = time.time() + 7
    while time.time() < ends:
        time.sleep(0.1)
    administration = services.administration
    administration.delete_tenant("a", purge=True)
    assert administration.tenant("a").status is Status.DELETING
    administration.replace_grant("a", root_grant=root.serialize())
    administration.delete_tenant("a", purge=True)
    assert administration.tenants() == []
    store = store_by(services, root.serialize())
    assert keys(store.list("", recursive=True)) == []
    store.close()


def test_the_grant_of_the_configuration_is_replaced_there(
    network: Network,
    tmp_path: FilePath,
    monkeypatch: pytest.MonkeyPatch,
    storj_project: Project,
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE_KEYS__KEK", new_kek())
    monkeypatch.setenv("STORJ_BRIDGE_STORE__GRANT", storj_project.grant)
    monkeypatch.setenv("STORJ_BRIDGE_TENANT__SECRET", "a long secret of the configured tenant")
    store = {"kind": "storj", "bucket": network.new_bucket_name()}
    wanted = {"store": store, "state": {"path": tmp_path / "state.db"}, "tenant": {"id": "main"}}
    with (
        Services.open(load(None, wanted), new_key=new_kek()) as services,
        pytest.raises(NotForTenant, match="is the one in \\[store\\] of the configuration"),
    ):
        services.administration.replace_grant("main", root_grant=storj_project.grant)
