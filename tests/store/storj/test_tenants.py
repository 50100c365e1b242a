"""Tenants' grants on a real network, in the hands of whoever took them out of the bridge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from bridge.store.api import Forbidden, NotFound
from bridge.store.retrying import RetryingStore
from bridge.store.storj.access import Access
from bridge.store.storj.facts import ALL, READ, Permission, Place
from bridge.store.storj.grants import credential_grant, recovery_grant, revoke, tenant_grant
from bridge.store.storj.refusals import Denied
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import exists, keys, read, write
from tests.store.storj.opening import USER_AGENT, new_bucket
from tests.store.storj.operations import CHANGES, LOOKS, OPERATIONS, STREAMED, Scene

Opener = Callable[[str], StorjStore]

REMEMBERED = 60.0
"""Seconds for which the satellite remembers of a grant that it saw that it was not revoked."""


@pytest.fixture(scope="module")
def project(network: Network) -> Project:
    return network.new_project()


@pytest.fixture(scope="module")
def root(project: Project) -> Access:
    return Access.parse(project.grant)


@pytest.fixture
def bucket(network: Network, project: Project) -> str:
    return new_bucket(network, project)


@pytest.fixture
def opened(bucket: str) -> Iterator[Opener]:
    """Opens the bucket by a grant, until the test is over."""
    stores: list[StorjStore] = []

    def open_it(text: str) -> StorjStore:
        stores.append(StorjStore(text, bucket, StorjOptions(USER_AGENT)))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def _tenant(root: Access, bucket: str, name: str) -> str:
    return tenant_grant(root, bucket, f"{name}/", f".bridge/{name}/")


def test_a_tenant_can_do_all_with_its_own_folders(
    root: Access, bucket: str, opened: Opener
) -> None:
    store = opened(_tenant(root, bucket, "a"))
    for number, operation in enumerate(OPERATIONS.values()):
        for folder in ("a/", ".bridge/a/"):
            operation(store, Scene.make(store, f"{folder}{number}/"))


@pytest.mark.parametrize("folder", ["b/", ".bridge/b/", "ab/", "plain/", ""])
def test_a_tenants_grant_can_do_nothing_with_what_is_not_its_own(
    root: Access, bucket: str, opened: Opener, folder: str
) -> None:
    mine = opened(_tenant(root, bucket, "a"))
    others = {"b/": "b", ".bridge/b/": "b", "ab/": "ab"}
    owner = opened(_tenant(root, bucket, others[folder]) if folder in others else root.serialize())
    scene = Scene.make(owner, folder)
    before = scene.contents(owner)
    for name, operation in OPERATIONS.items():
        with pytest.raises(Forbidden):
            pytest.fail(f"{name}: {operation(mine, scene)}")
    assert scene.contents(owner) == before


def test_nothing_goes_from_one_tenant_to_another(root: Access, bucket: str, opened: Opener) -> None:
    mine, theirs = (opened(_tenant(root, bucket, name)) for name in ("a", "b"))
    write(mine, "a/x", b"mine")
    write(theirs, "b/x", b"theirs")
    for source, target in (("a/x", "b/x"), ("a/x", "b/new"), ("b/x", "a/x"), ("b/x", "a/new")):
        with pytest.raises(Forbidden):
            mine.copy(source, target)
        with pytest.raises(Forbidden):
            mine.move(source, target)
    with pytest.raises(Forbidden):
        mine.delete_many(["a/other", "b/x"])
    assert read(mine, "a/x") == b"mine"
    assert read(theirs, "b/x") == b"theirs"
    assert keys(mine.list("a/")) == ["a/x"]
    assert keys(theirs.list("b/")) == ["b/x"]


def test_the_root_reads_what_is_sealed_and_nothing_of_a_vault(
    root: Access, bucket: str, opened: Opener
) -> None:
    tenant, operator = opened(_tenant(root, bucket, "a")), opened(root.serialize())
    scene = Scene.make(tenant, "a/d/")
    write(tenant, ".bridge/a/keyring", b"sealed")
    assert read(operator, ".bridge/a/keyring") == b"sealed"
    assert keys(operator.list(".bridge/", recursive=True)) == [".bridge/a/keyring"]
    before = scene.contents(tenant)
    for call in (
        lambda: read(operator, scene.there),
        lambda: operator.stat(scene.there),
        lambda: operator.copy(scene.there, "elsewhere"),
        lambda: operator.move(scene.there, "elsewhere"),
        lambda: operator.set_metadata(scene.there, {}, scene.info.version),
    ):
        with pytest.raises(NotFound):
            call()
    operator.delete(scene.there)
    assert keys(operator.list("a/", recursive=True)) == []
    # Under the same name, the root's own object is another one.
    write(operator, scene.there, b"another's")
    assert scene.contents(tenant) == before


@pytest.mark.parametrize("wrap", [lambda store: store, RetryingStore], ids=["plain", "retrying"])
def test_a_credential_that_may_read_changes_nothing(
    network: Network,
    root: Access,
    bucket: str,
    opened: Opener,
    wrap: Callable[[StorjStore], StorjStore],
) -> None:
    text = _tenant(root, bucket, "a")
    tenant = opened(text)
    scene = Scene.make(tenant, "a/d/")
    write(tenant, ".bridge/a/keyring", b"sealed")
    before = scene.contents(tenant)
    reader = wrap(opened(credential_grant(Access.parse(text), [Place(bucket, "a/")], READ)))
    for name, operation in CHANGES.items():
        began = network.requests()
        with pytest.raises(Forbidden):
            operation(reader, scene)
        asked = network.requests() - began
        assert set(asked.operations.values()) == {1}, name  # refused for good, and not tried again
    assert scene.contents(tenant) == before
    for name in LOOKS.keys() - {"list parts"}:
        LOOKS[name](reader, scene)
    for call in (reader.stat, reader.delete, lambda key: write(reader, key, b"")):
        with pytest.raises(Forbidden):
            call(".bridge/a/keyring")


def test_a_recovery_grant_reads_the_vault_and_changes_nothing(
    root: Access, bucket: str, opened: Opener
) -> None:
    text = _tenant(root, bucket, "a")
    tenant = opened(text)
    scene = Scene.make(tenant, "a/d/")
    write(tenant, ".bridge/a/keyring", b"sealed")
    before = scene.contents(tenant)
    recovery = opened(recovery_grant(Access.parse(text), bucket, "a/"))
    assert keys(recovery.list("a/", recursive=True)) == keys(tenant.list("a/", recursive=True))
    assert read(recovery, scene.there) == b"inline"
    for operation in CHANGES.values():
        with pytest.raises(Forbidden):
            operation(recovery, scene)
    with pytest.raises(Forbidden):
        recovery.stat(".bridge/a/keyring")
    assert scene.contents(tenant) == before


def test_a_grant_stops_at_its_end(root: Access, bucket: str, opened: Opener) -> None:
    text = _tenant(root, bucket, "a")
    scene = Scene.make(opened(text), "a/d/")
    ends = time.time() + 4
    store = opened(credential_grant(Access.parse(text), [Place(bucket, "a/")], ALL, ends))
    assert read(store, scene.there) == b"inline"
    upload = store.put(scene.there)
    upload.write(STREAMED)
    while time.time() < ends + 1:
        time.sleep(0.1)
    with pytest.raises(Forbidden):
        upload.commit({})
    upload.abort()
    for operation in OPERATIONS.values():
        with pytest.raises(Forbidden):
            operation(store, scene)
    assert read(opened(text), scene.there) == b"inline"


def test_a_revoked_grant_stops_with_all_cut_from_it_and_others_go_on(
    root: Access, bucket: str, opened: Opener
) -> None:
    text = _tenant(root, bucket, "a")
    tenant = Access.parse(text)
    scene = Scene.make(opened(text), "a/d/")
    place = [Place(bucket, "a/")]
    gone, other = (Access.parse(credential_grant(tenant, place, ALL)) for _ in range(2))
    cut = gone.share(READ, None)
    revoke(tenant, gone, USER_AGENT)
    revoke(tenant, gone, USER_AGENT)  # as whoever got no answer does
    for operation in OPERATIONS.values():
        with pytest.raises(Forbidden):
            operation(opened(gone.serialize()), scene)
    with pytest.raises(Forbidden):
        read(opened(cut.serialize()), scene.there)
    assert read(opened(other.serialize()), scene.there) == b"inline"
    revoke(root, tenant, USER_AGENT)
    fresh = credential_grant(tenant, place, READ)
    with pytest.raises(Forbidden):
        read(opened(fresh), scene.there)
    assert not exists(opened(root.serialize()), "elsewhere")


def test_a_grant_revokes_nothing_but_what_was_cut_from_it(
    root: Access, bucket: str, opened: Opener
) -> None:
    first, second = (Access.parse(_tenant(root, bucket, name)) for name in ("a", "b"))
    credential = Access.parse(credential_grant(first, [Place(bucket, "a/")], ALL))
    for by, other in ((second, first), (second, credential), (credential, first), (first, root)):
        with pytest.raises(Denied):
            revoke(by, other, USER_AGENT)
    write(opened(credential.serialize()), "a/x", b"content")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_revoked_grant_that_was_in_use_stops_when_the_satellite_looks_again(
    root: Access, bucket: str, opened: Opener
) -> None:
    tenant = Access.parse(_tenant(root, bucket, "a"))
    credential = Access.parse(credential_grant(tenant, [Place(bucket, "a/")], ALL))
    store = opened(credential.serialize())
    write(store, "a/x", b"content")
    revoke(tenant, credential, USER_AGENT)
    ends = time.monotonic() + 2 * REMEMBERED
    while _takes(store, "a/x") and time.monotonic() < ends:
        time.sleep(1)
    with pytest.raises(Forbidden):
        store.stat("a/x")


def _takes(store: StorjStore, key: str) -> bool:
    """Whether the satellite still answers."""
    try:
        store.stat(key)
    except Forbidden:
        return False
    return True


def test_a_permission_is_no_more_than_the_ancestors(
    root: Access, bucket: str, opened: Opener
) -> None:
    tenant = Access.parse(_tenant(root, bucket, "a"))
    reader = Access.parse(credential_grant(tenant, [Place(bucket, "a/")], READ))
    wider = credential_grant(reader, [Place(bucket, "a/")], Permission(upload=True, list=True))
    store = opened(wider)
    assert keys(store.list("a/")) == []
    with pytest.raises(Forbidden):
        write(store, "a/x", b"content")
