"""Grants and buckets on a real Storj network: what the satellite makes of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from uplink_python.errors import TooManyRequestsError
from uplink_python.uplink import Uplink

from bridge.store.api import Forbidden, NotFound
from bridge.store.storj import control
from bridge.store.storj.access import Access, EncryptionKey
from bridge.store.storj.facts import ALL, READ, Place
from bridge.store.storj.library import load
from bridge.store.storj.project import Project
from bridge.store.storj.refusals import (
    BucketExists,
    BucketNotEmpty,
    BucketNotFound,
    Denied,
    GrantError,
)
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project as StorjProject
from tests.store.objects import read, write
from tests.store.storj.grants import SATELLITE_ID, grant

AGENT = "storj-bridge-test/1.0"


@pytest.fixture
def access(storj_project: StorjProject) -> Access:
    return Access.parse(storj_project.grant)


@pytest.fixture
def project(access: Access) -> Iterator[Project]:
    with access.open(AGENT) as opened:
        yield opened


@pytest.fixture
def open_store() -> Iterator[Callable[[Access, str], StorjStore]]:
    """Opens the store of a bucket by a grant, until the test is over."""
    stores = []

    def opened(access: Access, bucket: str) -> StorjStore:
        stores.append(StorjStore(access.serialize(), bucket, StorjOptions(AGENT)))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


def test_a_bucket_from_its_making_to_its_end(project: Project) -> None:
    made = project.create_bucket("photos")
    assert made.name == "photos"
    assert abs(made.created - time.time()) < 600
    assert project.stat_bucket("photos") == made
    assert project.ensure_bucket("photos") == made
    with pytest.raises(BucketExists, match="there is a bucket of this name"):
        project.create_bucket("photos")
    project.ensure_bucket("albums")
    assert [bucket.name for bucket in project.list_buckets()] == ["albums", "photos"]
    project.delete_bucket("photos")
    with pytest.raises(BucketNotFound, match="there is no bucket of this name"):
        project.stat_bucket("photos")
    with pytest.raises(BucketNotFound):
        project.delete_bucket("photos")
    assert [bucket.name for bucket in project.list_buckets()] == ["albums"]


def test_a_bucket_made_by_two_at_once_is_there_for_both(access: Access) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: access.ensure_bucket("photos", AGENT), range(8)))
    assert len(set(made)) == 1


def test_a_full_bucket_is_deleted_only_with_its_objects(
    access: Access, project: Project, open_store: Callable[[Access, str], StorjStore]
) -> None:
    project.create_bucket("photos")
    write(open_store(access, "photos"), "a", b"content")
    with pytest.raises(BucketNotEmpty, match="not empty"):
        project.delete_bucket("photos")
    project.delete_bucket_with_objects("photos")
    assert project.list_buckets() == []


@pytest.mark.parametrize("name", ["", "a", "Photos", "-photos", "photos..x", "p" * 64])
def test_what_is_no_bucket_name_is_refused(project: Project, name: str) -> None:
    with pytest.raises(GrantError, match="does not accept this as a bucket's name"):
        project.create_bucket(name)


def test_all_pages_of_a_listing_are_listed(project: Project) -> None:
    names = [f"bucket-{number:04}" for number in range(1_100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(project.create_bucket, names))
    assert [bucket.name for bucket in project.list_buckets()] == names


def test_the_satellite_holds_a_reader_to_reading(
    access: Access, project: Project, open_store: Callable[[Access, str], StorjStore]
) -> None:
    project.create_bucket("photos")
    write(open_store(access, "photos"), "a", b"content")
    reader = access.share(READ, [Place("photos")])
    store = open_store(reader, "photos")
    assert read(store, "a") == b"content"
    with pytest.raises(Forbidden):
        write(store, "b", b"content")
    with pytest.raises(Forbidden):
        store.delete("a")
    with pytest.raises(Forbidden):
        store.copy("a", "b")
    with reader.open(AGENT) as opened:
        assert opened.ensure_bucket("photos").name == "photos"
        for refused in (
            opened.create_bucket,
            opened.delete_bucket,
            opened.delete_bucket_with_objects,
        ):
            with pytest.raises(Denied, match="does not allow this"):
                refused("photos")
    assert read(open_store(access, "photos"), "a") == b"content"


def test_a_grant_for_one_bucket_sees_no_other(access: Access, project: Project) -> None:
    project.create_bucket("photos")
    project.create_bucket("secrets")
    with access.share(ALL, [Place("photos")]).open(AGENT) as narrowed:
        assert [bucket.name for bucket in narrowed.list_buckets()] == ["photos"]
        with pytest.raises(Denied):
            narrowed.stat_bucket("secrets")


def test_a_tenants_grant_opens_its_folders_and_nothing_else(
    access: Access, project: Project, open_store: Callable[[Access, str], StorjStore]
) -> None:
    project.create_bucket("photos")
    tenants = {}
    for name in ("t1", "t2"):
        tenant = access.share(ALL, [Place("photos", f"{name}/"), Place("photos", f"own/{name}/")])
        tenant.override_encryption_key("photos", f"{name}/", EncryptionKey(name, b"salt"))
        tenants[name] = open_store(Access.parse(tenant.serialize()), "photos")
        write(tenants[name], f"{name}/file", name.encode())
        write(tenants[name], f"own/{name}/keyring", b"sealed")
    root = open_store(access, "photos")
    assert read(tenants["t1"], "t1/file") == b"t1"
    assert read(root, "own/t1/keyring") == b"sealed"
    with pytest.raises(NotFound):  # under another key, it has another name
        root.stat("t1/file")
    for key in ("t2/file", "own/t2/keyring", "elsewhere"):
        with pytest.raises(Forbidden):
            tenants["t1"].stat(key)
        with pytest.raises(Forbidden):
            write(tenants["t1"], key, b"taken")
    assert read(tenants["t2"], "t2/file") == b"t2"


def test_a_grant_for_a_folder_finds_its_bucket_and_makes_none(
    access: Access, project: Project
) -> None:
    project.create_bucket("photos")
    tenant = access.share(ALL, [Place("photos", "vault/")])
    assert tenant.ensure_bucket("photos", AGENT).name == "photos"
    with pytest.raises(Denied):
        tenant.ensure_bucket("albums", AGENT)


def test_a_grant_is_told_to_be_over_or_not_yet_begun(access: Access, project: Project) -> None:
    project.create_bucket("photos")
    now = time.time()
    for shared, words in (
        (access.share(ALL, None, not_after=now - 60), "the access grant has expired on 2"),
        (access.share(ALL, None, not_before=now + 600), "the access grant is not valid before 2"),
    ):
        with shared.open(AGENT) as opened, pytest.raises(Denied, match=words):
            opened.stat_bucket("photos")


def test_a_revoked_grant_is_worthless_with_all_cut_from_it(
    access: Access, project: Project
) -> None:
    project.create_bucket("photos")
    child = access.share(ALL, [Place("photos")])
    grandchild = child.share(READ, None)
    sibling = access.share(ALL, [Place("photos")])
    access.revoke(child, AGENT)
    # Not used before: the satellite remembers for minutes which grants were not revoked.
    for revoked in (child, grandchild):
        with revoked.open(AGENT) as opened, pytest.raises(Denied, match="was revoked"):
            opened.stat_bucket("photos")
    sibling.ensure_bucket("photos", AGENT)


def test_a_grant_revokes_only_what_is_cut_from_it(access: Access, project: Project) -> None:
    project.create_bucket("photos")
    child, sibling = (access.share(ALL, [Place("photos")]) for _ in range(2))
    for other in (access, sibling, child):
        with pytest.raises(Denied):
            child.revoke(other, AGENT)
        other.ensure_bucket("photos", AGENT)
    child.revoke(child.share(READ, None), AGENT)


def test_a_key_the_satellite_does_not_know_is_refused(network: Network) -> None:
    with (
        Access.parse(grant(satellite=network.satellite)).open(AGENT) as opened,
        pytest.raises(Denied, match="was revoked, or never existed"),
    ):
        opened.list_buckets()


def test_another_satellite_at_the_address_is_told(network: Network) -> None:
    address = network.satellite.partition("@")[2]
    with (
        Access.parse(grant(satellite=f"{SATELLITE_ID}@{address}")).open(AGENT) as opened,
        pytest.raises(GrantError, match="another computer than the satellite") as raised,
    ):
        opened.stat_bucket("photos")
    assert raised.value.code == 0x104


def test_a_bucket_is_attributed_to_who_makes_it(
    network: Network, storj_project: StorjProject, access: Access
) -> None:
    access.ensure_bucket("photos", "partner/1.2 storj-bridge/0.3")
    assert network.bucket(storj_project, "photos").attribution == "partner/1.2 storj-bridge/0.3"
    access.ensure_bucket("photos", "other/2.0")
    assert network.bucket(storj_project, "photos").attribution == "partner/1.2 storj-bridge/0.3"


def test_too_many_requests_are_told(
    network: Network, storj_project: StorjProject, project: Project
) -> None:
    network.limit(storj_project, rate=1)

    def ask_until_refused() -> None:
        for _ in range(100):
            project.list_buckets()

    with pytest.raises(GrantError, match="too many requests") as raised:
        ask_until_refused()
    assert raised.value.code == 0x05


def test_a_project_goes_on_when_its_satellite_is_back(network: Network, project: Project) -> None:
    project.create_bucket("photos")
    network.cut("satellite")
    with pytest.raises(GrantError, match="the satellite cannot be reached"):
        project.stat_bucket("photos")
    network.restore()
    for _ in range(3):
        assert project.stat_bucket("photos").name == "photos"
    network.reset("satellite")
    assert [bucket.name for bucket in project.list_buckets()] == ["photos"]


@pytest.mark.long
def test_a_satellite_that_says_nothing_is_given_up(network: Network, project: Project) -> None:
    project.create_bucket("photos")
    network.stall("satellite")
    with pytest.raises(GrantError, match="did not answer in time"):
        project.stat_bucket("photos")
    with pytest.raises(GrantError, match="did not answer in time"):
        project.list_buckets()


def test_uplink_python_is_the_same_project(storj_project: StorjProject, access: Access) -> None:
    load()
    uplink = Uplink()
    theirs = uplink.request_access_with_passphrase(
        storj_project.satellite, storj_project.api_key, storj_project.passphrase
    )
    assert theirs.serialize() == storj_project.grant
    project = theirs.open_project()
    assert project.create_bucket("photos").name == "photos"
    assert project.ensure_bucket("albums").name == "albums"
    assert [bucket.name for bucket in project.list_buckets()] == ["albums", "photos"]
    assert project.stat_bucket("photos").created > 0
    assert project.delete_bucket("photos").name == "photos"
    project.close()
    assert access.ensure_bucket("albums", AGENT).name == "albums"


def test_a_failing_listing_of_uplink_python_is_no_empty_one(
    network: Network, storj_project: StorjProject
) -> None:
    load()
    project = Uplink().parse_access(storj_project.grant).open_project()
    project.create_bucket("photos")
    network.limit(storj_project, rate=1)

    def list_until_refused() -> None:
        for _ in range(100):
            assert [bucket.name for bucket in project.list_buckets()] == ["photos"]

    with pytest.raises(TooManyRequestsError):
        list_until_refused()
    project.close()


def test_calls_of_a_project_leave_nothing_behind(project: Project) -> None:
    def calls() -> None:
        project.ensure_bucket("photos")
        project.list_buckets()
        for failing in (project.create_bucket, project.stat_bucket):
            with pytest.raises(GrantError):
                failing("photos" if failing == project.create_bucket else "nowhere")

    calls()
    gc.collect()
    before = control.handles()
    for _ in range(50):
        calls()
    gc.collect()
    assert control.handles() == before
