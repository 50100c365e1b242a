"""Whom the satellite's own database credits with a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.store.storj.access import Access
from bridge.store.storj.facts import ALL, Place
from bridge.store.storj.project import product
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import read, write

OURS = "acme/1.0 storj-bridge/0.1"
THEIRS = "other/2.0"
NOBODY = ""
"""An agent of uplink's own name alone, with which Storj credits nobody."""


@pytest.fixture
def access(storj_project: Project) -> Access:
    return Access.parse(storj_project.grant)


@pytest.fixture
def store(storj_project: Project) -> Iterator[StorjStore]:
    opened = StorjStore(storj_project.grant, "photos", StorjOptions(OURS))
    yield opened
    opened.close()


def _attribute(access: Access) -> None:
    with access.open(OURS) as project:
        project.attribute_bucket("photos")


@pytest.mark.parametrize("maker", [THEIRS, NOBODY])
def test_whoever_fills_a_bucket_is_not_credited_with_it(
    network: Network, storj_project: Project, access: Access, store: StorjStore, maker: str
) -> None:
    access.ensure_bucket("photos", maker)
    for size in (0, 3_000, 70_000, 3 << 20):
        write(store, str(size), b"x" * size)
    assert network.bucket(storj_project, "photos").attribution == maker


@pytest.mark.parametrize("maker", [THEIRS, NOBODY])
def test_an_empty_bucket_of_anothers_can_be_taken_over(
    network: Network, storj_project: Project, access: Access, store: StorjStore, maker: str
) -> None:
    network.upload(storj_project, "photos", "gone", 5_000, user_agent=maker).result()
    store.delete("gone")
    _attribute(access)
    write(store, "new", b"content")
    taken = network.bucket(storj_project, "photos")
    assert taken.attribution == taken.user_agent == OURS
    with access.open(THEIRS) as project:
        assert project.bucket_facts("photos").attribution == OURS


def test_a_bucket_of_ours_stays_as_it_is(
    network: Network, storj_project: Project, access: Access
) -> None:
    older = "acme/0.9 storj-bridge/0.0"
    made = access.ensure_bucket("photos", older)
    _attribute(access)
    assert network.bucket(storj_project, "photos").attribution == older
    with access.open(OURS) as project:
        assert project.stat_bucket("photos") == made


def _an_object(_network: Network, _project: Project, store: StorjStore) -> None:
    write(store, "kept", b"content")


def _an_upload(_network: Network, _project: Project, store: StorjStore) -> None:
    store.create_multipart("begun")


def _versions(network: Network, project: Project, _store: StorjStore) -> None:
    network.keep_versions(project, "photos")


def _an_old_version(network: Network, project: Project, store: StorjStore) -> None:
    network.keep_versions(project, "photos")
    write(store, "deleted", b"content")
    store.delete("deleted")


@pytest.mark.parametrize("fill", [_an_object, _an_upload, _versions, _an_old_version])
def test_a_bucket_with_anything_in_it_or_set_for_it_is_left_alone(
    network: Network,
    storj_project: Project,
    access: Access,
    store: StorjStore,
    fill: Callable[[Network, Project, StorjStore], None],
) -> None:
    made = access.ensure_bucket("photos", THEIRS)
    fill(network, storj_project, store)
    before = network.bucket(storj_project, "photos")
    _attribute(access)
    assert network.bucket(storj_project, "photos") == before
    assert before.attribution == THEIRS
    with access.open(OURS) as project:
        assert project.stat_bucket("photos") == made


def test_a_grant_that_may_not_delete_the_bucket_leaves_it(
    network: Network, storj_project: Project, access: Access
) -> None:
    access.ensure_bucket("photos", THEIRS)
    _attribute(access.share(ALL, [Place("photos", "main/")]))
    assert network.bucket(storj_project, "photos").attribution == THEIRS
    _attribute(access.share(ALL, [Place("photos")]))
    assert network.bucket(storj_project, "photos").attribution == OURS


def test_a_bucket_taken_over_by_many_at_once_is_there_for_all(
    network: Network, storj_project: Project, access: Access, store: StorjStore
) -> None:
    access.ensure_bucket("photos", THEIRS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_attribute, [access] * 4))
    assert network.bucket(storj_project, "photos").attribution == OURS
    write(store, "a", b"content")
    assert read(store, "a") == b"content"


def test_a_user_agents_first_product_is_its_name() -> None:
    assert product("acme/1.0 storj-bridge/0.1") == "acme"
    assert product("acme") == "acme"
    assert product("") == ""
