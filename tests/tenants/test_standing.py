"""What a credential has begun ends with it: on real trees, a real state database, a real store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath

import pytest

from bridge.crypto.keyring import Kek
from bridge.files.api import FileTree, Guard
from bridge.files.errors import NotAllowed, StorageUnavailable
from bridge.files.path import Path
from bridge.state.api import StateUnavailable
from bridge.state.database import DatabaseState, open_state
from bridge.tenants.credential_rows import Standing as Found
from bridge.tenants.opened import OpenTenants
from bridge.tenants.service import TenantService
from bridge.tenants.standing import REMEMBERED, Standing, StandingTree
from bridge.tenants.work import LATE
from tests.store.objects import keys
from tests.tenants.storage import Storage

KEK = Kek(bytes(range(32)))


class Scene:
    """A tenant with a credential that has signed in, and another beside it."""

    def __init__(self, folder: FilePath) -> None:
        self.now = 1_000_000.0
        self.state: DatabaseState = open_state(folder / "state.db")
        self.storage = Storage()
        self.service = TenantService(self.state, self.storage, (KEK,), clock=self.clock)
        self.tenants = OpenTenants(
            self.service.records,
            self.storage,
            self.state,
            (KEK,),
            cache_names=1_000,
            clock=self.clock,
            wall=self.clock,
        )
        self.service.gone = self.tenants.drop
        self.service.create_tenant("acme", root_grant="root")
        self.credential = self.service.create_credential(
            "acme", "a", expires=self.now + 3_600
        ).credential
        self.tree = self.tenants.tree(self.credential)
        for name in ("file", "other"):
            _put(self.tree, name, name.encode())
        self.tree.mkdir(Path(("folder",)))

    def clock(self) -> float:
        return self.now

    def names(self) -> set[str]:
        """What is there, as somebody else of the tenant sees it."""
        kept = self.service.create_credential("acme", "other").credential
        return {entry.name for entry in self.tenants.tree(kept).list(Path())}

    def close(self) -> None:
        self.tenants.close()
        self.state.close()


@pytest.fixture
def scene(tmp_path: FilePath) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def _put(tree: FileTree, name: str, content: bytes) -> None:
    writer = tree.create(Path((name,)), size=len(content))
    writer.write(content)
    writer.commit()


def _revoke(scene: Scene) -> None:
    scene.service.revoke_credential("acme", "a")


def _make_anew(scene: Scene) -> None:
    scene.service.revoke_credential("acme", "a")
    scene.now += 1
    scene.service.create_credential("acme", "a")


def _suspend(scene: Scene) -> None:
    scene.service.suspend("acme")


def _expire(scene: Scene) -> None:
    scene.now += 3_600


def _delete(scene: Scene) -> None:
    scene.service.delete_tenant("acme", purge=False)


def _delete_and_make_anew(scene: Scene) -> None:
    scene.service.delete_tenant("acme", purge=True)
    scene.now += 1
    scene.service.create_tenant("acme", root_grant="root")
    scene.service.create_credential("acme", "a")


ENDS = {
    _revoke: "credential acme.a was revoked",
    _make_anew: "credential acme.a was revoked",
    _suspend: "tenant acme is suspended",
    _expire: "credential acme.a has expired",
    _delete: "credential acme.a was revoked",
    _delete_and_make_anew: "credential acme.a was revoked",
}

every_end = pytest.mark.parametrize(
    ("end", "words"), ENDS.items(), ids=[each.__name__.strip("_") for each in ENDS]
)


@every_end
def test_an_upload_that_was_begun_before_is_not_kept(
    scene: Scene, end: Callable[[Scene], None], words: str
) -> None:
    new = scene.tree.create(Path(("new",)), size=3)
    over = scene.tree.create(Path(("file",)), size=3)
    for writer in (new, over):
        writer.write(b"new")
    before = set(keys(scene.storage.store.list("acme/d/", recursive=True)))
    end(scene)
    for writer in (new, over):
        with pytest.raises(NotAllowed, match=words):
            writer.commit()
    left = set(keys(scene.storage.store.list("acme/d/", recursive=True)))
    assert left == (set() if end is _delete_and_make_anew else before)


CHANGES: dict[str, Callable[[FileTree, Guard], object]] = {
    "mkdir": lambda tree, guard: tree.mkdir(Path(("made",)), guard),
    "delete": lambda tree, guard: tree.delete(Path(("file",)), guard),
    "delete a folder": lambda tree, guard: tree.delete(Path(("folder",)), guard),
    "move": lambda tree, guard: tree.move(
        Path(("file",)), Path(("moved",)), overwrite=False, guard=guard
    ),
    "move over": lambda tree, guard: tree.move(
        Path(("file",)), Path(("other",)), overwrite=True, guard=guard
    ),
    "move a folder": lambda tree, guard: tree.move(
        Path(("folder",)), Path(("moved",)), overwrite=False, guard=guard
    ),
    "copy": lambda tree, guard: tree.copy(
        Path(("file",)), Path(("copied",)), overwrite=False, guard=guard
    ),
    "copy a folder": lambda tree, guard: tree.copy(
        Path(("folder",)), Path(("copied",)), overwrite=False, guard=guard
    ),
    "set properties": lambda tree, guard: tree.set_properties(
        Path(("file",)), set={"{n}p": "<p xmlns='n'/>"}, guard=guard
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("end", [_revoke, _suspend], ids=["revoke", "suspend"])
def test_a_change_whose_credential_ends_at_its_last_moment_is_not_made(
    scene: Scene, end: Callable[[Scene], None], change: Callable[[FileTree, Guard], object]
) -> None:
    """The door's guard has let it pass; the credential ends right after that."""
    before = _stored(scene)
    with pytest.raises(NotAllowed, match=r"revoked|suspended"):
        change(scene.tree, lambda _entry: end(scene))
    scene.service.resume("acme")
    assert scene.names() == {"file", "other", "folder"}
    assert _stored(scene) == before


def _stored(scene: Scene) -> set[str]:
    return set(keys(scene.storage.store.list("acme/", recursive=True)))


def test_a_folder_whose_copy_was_made_meanwhile_is_not_linked(scene: Scene) -> None:
    asked = []

    def guard(_entry: object) -> None:
        asked.append(True)
        if len(asked) == 2:  # the first is asked before all is copied
            _revoke(scene)

    with pytest.raises(NotAllowed, match="revoked"):
        scene.tree.copy(Path(("folder",)), Path(("copied",)), overwrite=False, guard=guard)
    assert len(asked) == 2
    assert scene.names() == {"file", "other", "folder"}


@every_end
def test_a_download_ends_soon_after(scene: Scene, end: Callable[[Scene], None], words: str) -> None:
    _put(scene.tree, "long", bytes(200_000))
    reader = scene.tree.open(Path(("long",)))
    assert 0 < len(reader.read(1)) < 200_000
    end(scene)
    scene.now += REMEMBERED
    with pytest.raises(NotAllowed, match=words):
        reader.read(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda tree: tree.stat(Path(("file",))),
        lambda tree: tree.list(Path()),
        lambda tree: tree.open(Path(("file",))),
        lambda tree: tree.create(Path(("new",))),
        lambda tree: tree.properties(Path(("file",))),
        lambda tree: tree.usage(),
    ],
    ids=["stat", "list", "open", "create", "properties", "usage"],
)
def test_a_request_that_lasts_looks_at_nothing_more(
    scene: Scene, call: Callable[[FileTree], object]
) -> None:
    call(scene.tree)
    _revoke(scene)
    scene.now += REMEMBERED
    with pytest.raises(NotAllowed, match="revoked"):
        call(scene.tree)


def test_an_upload_is_ended_while_it_still_comes(scene: Scene) -> None:
    writer = scene.tree.create(Path(("new",)))
    writer.write(b"a")
    _revoke(scene)
    scene.now += REMEMBERED
    with pytest.raises(NotAllowed, match="revoked"):
        writer.write(b"b")
    writer.abort()


@every_end
def test_of_all_downloads_of_a_sign_in_each_ends_soon_after(
    scene: Scene, end: Callable[[Scene], None], words: str
) -> None:
    """They share what was let in once; the first that notices speaks for all."""
    _put(scene.tree, "long", bytes(200_000))
    readers = [scene.tree.open(Path(("long",))) for _ in range(5)]
    end(scene)
    scene.now += REMEMBERED
    for _ in range(2):
        for reader in readers:
            with pytest.raises(NotAllowed, match=words):
                reader.read(1)


def test_a_change_that_was_refused_speaks_for_all_that_goes_on(scene: Scene) -> None:
    reader = scene.tree.open(Path(("file",)))
    _revoke(scene)
    with pytest.raises(NotAllowed, match="revoked"):
        scene.tree.mkdir(Path(("made",)))
    with pytest.raises(NotAllowed, match="revoked"):
        reader.read(1)


def test_what_was_seen_to_be_shut_out_stays_out_until_it_is_let_in_anew(scene: Scene) -> None:
    _suspend(scene)
    with pytest.raises(NotAllowed, match="suspended"):
        scene.tree.mkdir(Path(("made",)))
    scene.service.resume("acme")
    with pytest.raises(NotAllowed, match="suspended"):
        scene.tree.stat(Path(("file",)))
    assert scene.tenants.tree(scene.credential).stat(Path(("file",))).size == 4


@every_end
def test_a_listing_ends_soon_after(scene: Scene, end: Callable[[Scene], None], words: str) -> None:
    entries = scene.tree.list(Path())
    assert next(entries).name
    end(scene)
    scene.now += REMEMBERED
    with pytest.raises(NotAllowed, match=words):
        next(entries)


class _Slow:
    """A database whose answer on its way somebody waits for."""

    def __init__(self, scene: Scene) -> None:
        self._rows = scene.service.records.credentials
        self.asked, self.answer = threading.Event(), threading.Event()

    def standing(self, tenant_id: str, label: str) -> Found | None:
        self.asked.set()
        assert self.answer.wait(20)
        return self._rows.standing(tenant_id, label)


def test_while_one_asks_the_others_go_on_and_by_what_it_hears_all_end(scene: Scene) -> None:
    rows = _Slow(scene)
    standing = Standing(
        rows,  # type: ignore[arg-type]
        scene.credential,
        looked=scene.now,
        clock=scene.clock,
        monotonic=scene.clock,
    )
    tree = StandingTree(scene.tree, standing)
    readers = [tree.open(Path(("file",))) for _ in range(2)]
    _revoke(scene)
    scene.now += REMEMBERED
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(readers[0].read, 1)
        assert rows.asked.wait(20)
        standing.require_now_and_then()
        rows.answer.set()
        with pytest.raises(NotAllowed, match="revoked"):
            first.result(20)
    for reader in readers:
        with pytest.raises(NotAllowed, match="revoked"):
            reader.read(1)


class _Silent:
    """A database that does not answer."""

    def standing(self, tenant_id: str, label: str) -> None:
        raise StateUnavailable("the database does not answer")


def test_while_the_database_does_not_answer_a_download_goes_on_and_nothing_is_changed(
    scene: Scene,
) -> None:
    standing = Standing(
        _Silent(),  # type: ignore[arg-type]
        scene.credential,
        clock=scene.clock,
        monotonic=scene.clock,
    )
    tree = StandingTree(scene.tree, standing)
    with tree.open(Path(("file",))) as reader:
        scene.now += REMEMBERED
        assert bytes(reader.read(10)) == b"file"
    with pytest.raises(StorageUnavailable):
        tree.delete(Path(("file",)))
    assert scene.tree.stat(Path(("file",))).size == 4


def test_what_comes_behind_a_purge_is_removed_later(scene: Scene) -> None:
    """As by a process that asked just before the deletion, and stood still: also after a crash."""
    late = scene.tenants.tenant("acme").tree.create(Path(("late",)), size=4)  # asks nobody
    late.write(b"late")
    scene.service.delete_tenant("acme", purge=True)
    late.commit()
    assert _stored(scene) != set()
    assert scene.service.jobs_left("acme") == []
    again = TenantService(scene.state, scene.storage, (KEK,), clock=scene.clock)
    scene.now += LATE - 1
    assert again.jobs.run_due() == 0
    scene.now += 1
    assert again.jobs.run_due() == 1
    assert set(keys(scene.storage.store.list("", recursive=True))) == set()
    assert again.records.jobs.of("acme") == []


@pytest.mark.parametrize("kept", [False, True], ids=["there", "deleted but for its files"])
def test_a_late_purge_leaves_the_next_tenant_of_the_name_alone(scene: Scene, kept: bool) -> None:
    scene.service.delete_tenant("acme", purge=True)
    scene.now += 1
    scene.service.create_tenant("acme", root_grant="root")
    who = scene.service.create_credential("acme").credential
    _put(scene.tenants.tree(who), "new", b"new")
    if kept:
        scene.service.delete_tenant("acme", purge=False)
    before = _stored(scene)
    scene.now += LATE
    scene.service.jobs.run_due()
    assert scene.service.records.jobs.of("acme") == []
    assert _stored(scene) == before
