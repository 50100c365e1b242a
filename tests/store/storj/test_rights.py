"""Which of Storj's four permissions each operation of a store needs.

All sixteen sets of them are tried; ``docs/rights.md`` has the same table, in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from bridge.store.api import Exists, Forbidden, NotFound, ObjectStore
from bridge.store.storj.access import Access
from bridge.store.storj.facts import PERMISSIONS, Permission, Place
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import write
from tests.store.storj.opening import USER_AGENT, new_bucket
from tests.store.storj.operations import INLINE, OPERATIONS, Scene

DOCUMENT = Path(__file__).parents[3] / "docs" / "rights.md"

SETS = [frozenset(names) for size in range(5) for names in combinations(PERMISSIONS, size)]


def _documented() -> dict[str, Callable[[frozenset[str]], bool]]:
    """Each operation of the document's table, and whether a set of permissions is enough for it."""
    table = DOCUMENT.read_text().partition("| call | permissions |\n|---|---|\n")[2]
    rows = re.findall(r"^\| ([a-z' ,]+) \| ([a-z, ]+) \|$", table, re.MULTILINE)
    return {operation: _enough(words) for operation, words in rows}


def _enough(words: str) -> Callable[[frozenset[str]], bool]:
    """``upload, list or download`` is upload and one of the others."""
    alternatives = [set(part.split(" or ")) for part in words.split(", ")]
    assert set().union(*alternatives) <= set(PERMISSIONS), words
    return lambda allowed: all(part & allowed for part in alternatives)


@pytest.fixture(scope="module")
def project(network: Network) -> Project:
    return network.new_project()


@pytest.fixture(scope="module")
def bucket(network: Network, project: Project) -> str:
    return new_bucket(network, project)


@pytest.fixture(scope="module")
def owner(project: Project, bucket: str) -> Iterator[StorjStore]:
    made = StorjStore(project.grant, bucket, StorjOptions(USER_AGENT))
    yield made
    made.close()


def narrowed(access: Access, names: frozenset[str], place: Place) -> Access:
    """A grant that allows exactly these. One that allows nothing takes two cuts."""
    if not names:
        access = access.share(Permission(download=True), [place])
        return access.share(Permission(upload=True), [place])
    return access.share(Permission(**dict.fromkeys(names, True)), [place])


def test_every_operation_is_documented() -> None:
    assert set(_documented()) == set(OPERATIONS)


@pytest.mark.parametrize("allowed", SETS, ids=lambda names: "+".join(sorted(names)) or "nothing")
def test_an_operation_works_with_just_the_permissions_it_needs(
    project: Project, bucket: str, owner: StorjStore, allowed: frozenset[str]
) -> None:
    root = Access.parse(project.grant)
    folder = "-".join(sorted(allowed)) or "nothing"
    access = narrowed(root, allowed, Place(bucket, f"{folder}/"))
    assert {name for name in PERMISSIONS if getattr(access.facts.permission, name)} == allowed
    expected = _documented()
    wrong = []
    for number, (name, operation) in enumerate(OPERATIONS.items()):
        scene = Scene.make(owner, f"{folder}/{number}/")
        before = scene.contents(owner)
        store = StorjStore(access.serialize(), bucket, StorjOptions(USER_AGENT))
        try:
            operation(store, scene)
            worked = True
        except Forbidden:
            worked = False
        store.close()
        if worked != expected[name](allowed):
            wrong.append(f"{name} {'works' if worked else 'is refused'}")
        kept = 2 if "upload" in allowed else 3  # it may have begun an upload and no more
        if not worked and scene.contents(owner)[:kept] != before[:kept]:
            wrong.append(f"{name} is refused, and done")
    assert wrong == []


def test_a_narrow_grant_is_told_what_is_there_and_what_is_not(
    project: Project, bucket: str, owner: StorjStore
) -> None:
    """Neither is taken for a refusal, though a grant may not look more closely."""
    scene = Scene.make(owner, "told/")
    access = Access.parse(project.grant)
    told: list[tuple[Permission, type[Exception], Callable[[ObjectStore], object]]] = [
        (Permission(upload=True), Exists, lambda store: _put_if_absent(store, scene.there)),
        (Permission(list=True), NotFound, lambda store: store.stat(scene.nothing)),
        (Permission(download=True), NotFound, lambda store: store.get(scene.nothing)),
        (
            Permission(download=True, upload=True),
            Exists,
            lambda store: store.copy(scene.there, scene.large, if_absent=True),
        ),
    ]
    for permission, error, call in told:
        grant = access.share(permission, [Place(bucket, "told/")]).serialize()
        store = StorjStore(grant, bucket, StorjOptions(USER_AGENT))
        with pytest.raises(error):
            call(store)
        store.close()


def _put_if_absent(store: ObjectStore, key: str) -> None:
    write(store, key, INLINE, if_absent=True)
