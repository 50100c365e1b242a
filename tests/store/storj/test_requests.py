"""Requests by a credential of each set of rights, on a real network.

The bridge refuses what the rights do not carry before anything begins, and lets through nothing
that the credential's grant then cannot do; ``docs/rights.md`` has the table. With the bridge's own
check left out, the satellite refuses all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path as FilePath

import pytest

from bridge.files.api import FileTree
from bridge.files.errors import FileError, NotAllowed, StorageForbidden
from bridge.files.path import Path
from bridge.files.vault_tree import VaultTree
from bridge.state.database import open_state
from bridge.store.storj.access import Access
from bridge.store.storj.facts import Permission, Place
from bridge.store.storj.grants import credential_grant, tenant_grant
from bridge.store.storj.store import StorjOptions, StorjStore
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.confined import ConfinedTree
from tests.files.vault import PREFIX, make_keys, make_tree
from tests.network.client import Network
from tests.network.values import Project
from tests.store.storj.opening import USER_AGENT, new_bucket

READ, WRITE, LIST, DELETE = Right.READ, Right.WRITE, Right.LIST, Right.DELETE

SETS = [
    Right(sum(rights))
    for size in range(1, 5)
    for rights in combinations((READ, WRITE, LIST, DELETE), size)
]

USUAL = (READ | LIST, WRITE, READ | WRITE, DELETE | LIST, READ | WRITE | LIST, ALL_RIGHTS)
"""What credentials are made for: readers, drop boxes, those who may not delete."""

TRIED = [pytest.param(rights, marks=() if rights in USUAL else pytest.mark.long) for rights in SETS]

SMALL, LONG = b"content", b"l" * (3 << 20)
MANY = {f"{{urn:x}}p{number}": "v" * 500 for number in range(20)}
"""More properties than a record holds."""


def _read(tree: FileTree, path: Path) -> bytes:
    with tree.open(path) as reader:
        content = b""
        while block := bytes(reader.read(1 << 20)):
            content += block
    return content


def _write(tree: FileTree, path: Path, content: bytes) -> None:
    writer = tree.create(path, size=len(content))
    try:
        writer.write(content)
        writer.commit()
    except BaseException:
        writer.abort()
        raise


@dataclass(frozen=True)
class Request:
    """``enough``: whether rights carry it. ``bridge_alone``: Storj asks for less, or nothing."""

    call: Callable[[FileTree, Path], object]
    enough: Callable[[Right], bool]
    bridge_alone: bool = False


def _all(*needed: Right) -> Callable[[Right], bool]:
    return lambda rights: all(right in rights for right in needed)


REQUESTS: dict[str, Request] = {
    "stat": Request(lambda tree, at: tree.stat(at.child("small")), lambda _rights: True, True),
    "list": Request(lambda tree, at: list(tree.list(at)), _all(LIST)),
    "open": Request(lambda tree, at: _read(tree, at.child("small")), _all(READ)),
    "open a long file": Request(lambda tree, at: _read(tree, at.child("long")), _all(READ)),
    "create": Request(lambda tree, at: _write(tree, at.child("new"), SMALL), _all(WRITE)),
    "create a long file": Request(
        lambda tree, at: _write(tree, at.child("new"), LONG), _all(WRITE)
    ),
    "create over a file": Request(
        lambda tree, at: _write(tree, at.child("small"), SMALL), _all(WRITE, DELETE)
    ),
    "create a long file over a file": Request(
        lambda tree, at: _write(tree, at.child("small"), LONG), _all(WRITE, DELETE)
    ),
    "mkdir": Request(lambda tree, at: tree.mkdir(at.child("new")), _all(WRITE)),
    "delete": Request(lambda tree, at: tree.delete(at.child("small")), _all(DELETE)),
    "delete a folder": Request(lambda tree, at: tree.delete(at.child("folder")), _all(DELETE)),
    "move": Request(
        lambda tree, at: tree.move(at.child("small"), at.child("new"), overwrite=False),
        _all(READ, WRITE, DELETE),
    ),
    "move over a file": Request(
        lambda tree, at: tree.move(at.child("small"), at.child("long"), overwrite=True),
        _all(READ, WRITE, DELETE),
    ),
    "move a folder": Request(
        lambda tree, at: tree.move(at.child("folder"), at.child("new"), overwrite=False),
        _all(READ, WRITE, DELETE),
    ),
    "copy": Request(
        lambda tree, at: tree.copy(at.child("small"), at.child("new"), overwrite=False),
        _all(READ, WRITE),
    ),
    "copy over a file": Request(
        lambda tree, at: tree.copy(at.child("small"), at.child("long"), overwrite=True),
        _all(READ, WRITE, DELETE),
        bridge_alone=True,
    ),
    "copy a folder": Request(
        lambda tree, at: tree.copy(at.child("folder"), at.child("new"), overwrite=False),
        _all(READ, WRITE),
    ),
    "set properties": Request(
        lambda tree, at: tree.set_properties(at.child("small"), set={"{urn:x}p": "new"}),
        lambda rights: WRITE in rights and bool(rights & (READ | LIST)),
    ),
    "set many properties": Request(
        lambda tree, at: tree.set_properties(at.child("small"), set=MANY),
        lambda rights: WRITE in rights and bool(rights & (READ | LIST)),
    ),
    "set a folder's properties": Request(
        lambda tree, at: tree.set_properties(at.child("folder"), set={"{urn:x}p": "new"}),
        lambda rights: WRITE in rights and bool(rights & (READ | LIST)),
    ),
    "properties": Request(
        lambda tree, at: tree.properties(at.child("small")),
        lambda rights: bool(rights & (READ | LIST)),
        bridge_alone=True,
    ),
    "usage": Request(lambda tree, _at: tree.usage(), _all(LIST), bridge_alone=True),
}


def _scene(tree: FileTree, number: int) -> Path:
    """A folder for one request, made by whoever may do all."""
    at = Path((str(number),))
    tree.mkdir(at)
    _write(tree, at.child("small"), SMALL)
    _write(tree, at.child("long"), LONG)
    tree.set_properties(at.child("small"), set={"{urn:x}p": "value"})
    tree.mkdir(at.child("folder"))
    _write(tree, at.child("folder").child("file"), SMALL)
    return at


def _contents(tree: FileTree, at: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for entry in tree.list(at):
        below = at.child(entry.name)
        found[entry.name] = (
            _contents(tree, below)
            if entry.is_directory
            else (entry.etag, entry.size, dict(tree.properties(below)))
        )
    return found


@dataclass(frozen=True)
class House:
    """A tenant on the network: ``fresh`` gives its tree with cold caches."""

    bucket: str
    grant: str
    fresh: Callable[[], VaultTree]

    def credential(self, rights: Right) -> StorjStore:
        """The store of a credential with these rights, by a grant of its own."""
        permission = Permission(
            download=READ in rights,
            upload=WRITE in rights,
            list=LIST in rights,
            delete=DELETE in rights,
        )
        place = Place(self.bucket, PREFIX)
        text = credential_grant(Access.parse(self.grant), [place], permission)
        return StorjStore(text, self.bucket, StorjOptions(USER_AGENT))


@pytest.fixture(scope="module")
def project(network: Network) -> Project:
    return network.new_project()


@pytest.fixture
def house(network: Network, project: Project, tmp_path: FilePath) -> Iterator[House]:
    bucket = new_bucket(network, project)
    text = tenant_grant(Access.parse(project.grant), bucket, PREFIX, f".bridge/{PREFIX}")
    keys = make_keys()
    with (
        open_state(tmp_path / "state.db") as state,
        closing(StorjStore(text, bucket, StorjOptions(USER_AGENT))) as store,
    ):
        # Bodies of more than a MiB stand apart from their entries, as very large ones do.
        yield House(
            bucket,
            text,
            lambda: make_tree(store, state.tree("vault"), keys, standalone=1 << 20),
        )


def _outcome(request: Request, tree: FileTree, at: Path) -> type[FileError] | None:
    """The error with which it ends."""
    try:
        request.call(tree, at)
    except FileError as error:
        return type(error)
    return None


@pytest.mark.parametrize("rights", TRIED, ids=str)
def test_the_bridge_refuses_what_rights_do_not_carry_and_storj_does_the_rest(
    house: House, rights: Right
) -> None:
    wrong = []
    owner = house.fresh()
    with closing(house.credential(rights)) as store:
        for number, (name, request) in enumerate(REQUESTS.items()):
            at = _scene(owner, number)
            before = _contents(owner, at)
            tree = ConfinedTree(house.fresh().acting_by(store), rights)
            outcome = _outcome(request, tree, at)
            if outcome is not (None if request.enough(rights) else NotAllowed):
                wrong.append(f"{name}: {outcome}")
            if outcome is not None and _contents(owner, at) != before:
                wrong.append(f"{name} was refused, and changed something")
    assert wrong == []


@pytest.mark.parametrize("rights", TRIED[:-1], ids=str)
def test_without_the_bridges_check_the_satellite_refuses(house: House, rights: Right) -> None:
    wrong = []
    owner = house.fresh()
    with closing(house.credential(rights)) as store:
        for number, (name, request) in enumerate(REQUESTS.items()):
            if request.enough(rights) or request.bridge_alone:
                continue
            at = _scene(owner, number)
            before = _contents(owner, at)
            tree = house.fresh().acting_by(store)
            outcome = _outcome(request, tree, at)
            if outcome is not StorageForbidden:
                wrong.append(f"{name}: {outcome}")
            if _contents(owner, at) != before:
                wrong.append(f"{name} was refused, and changed something")
    assert wrong == []
