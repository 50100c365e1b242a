"""What a credential may do, by its rights and in its folder, asked of the trees themselves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from bridge.files import errors
from bridge.files.api import Entry, FileTree
from bridge.files.errors import (
    FileError,
    InvalidPath,
    NoSuchFile,
    NoSuchParent,
    NotAllowed,
    RootRefused,
)
from bridge.files.path import DEPTH_LIMIT, Path
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.confined import ConfinedTree, folder_path
from tests.files.model_tree import ModelTree
from tests.files.script import drain, names, path, read, run, snapshot, write

READ, WRITE, LIST, DELETE = Right.READ, Right.WRITE, Right.LIST, Right.DELETE

METHODS: dict[str, tuple[Callable[[FileTree], object], Right]] = {
    # What is done, and all the rights it needs.
    "list": (lambda tree: list(tree.list(path("/d"))), LIST),
    "open": (lambda tree: drain(tree.open(path("/f"))), READ),
    "create": (lambda tree: write(tree, "/new", b"x"), WRITE),
    "create over a file": (lambda tree: write(tree, "/f", b"x"), WRITE | DELETE),
    "mkdir": (lambda tree: tree.mkdir(path("/new")), WRITE),
    "delete": (lambda tree: tree.delete(path("/f")), DELETE),
    "delete a folder": (lambda tree: tree.delete(path("/d")), DELETE),
    "move": (
        lambda tree: tree.move(path("/f"), path("/new"), overwrite=False),
        READ | WRITE | DELETE,
    ),
    "move over a file": (
        lambda tree: tree.move(path("/f"), path("/g"), overwrite=True),
        READ | WRITE | DELETE,
    ),
    "copy": (lambda tree: tree.copy(path("/f"), path("/new"), overwrite=True), READ | WRITE),
    "copy a folder": (
        lambda tree: tree.copy(path("/d"), path("/new"), overwrite=False),
        READ | WRITE,
    ),
    "copy over a file": (
        lambda tree: tree.copy(path("/f"), path("/g"), overwrite=True),
        READ | WRITE | DELETE,
    ),
    "copy over a folder": (
        lambda tree: tree.copy(path("/f"), path("/d"), overwrite=True),
        READ | WRITE | DELETE,
    ),
    "copy a folder over a folder": (
        lambda tree: tree.copy(path("/d"), path("/e"), overwrite=True),
        READ | WRITE | DELETE,
    ),
    "usage": (lambda tree: tree.usage(), LIST),
}

EVERY_RIGHT = [
    Right(sum(chosen))
    for count in range(1, 5)
    for chosen in itertools.combinations((READ, WRITE, LIST, DELETE), count)
]


def named(rights: Right) -> str:
    return str(rights.name)


@pytest.fixture
def tenant() -> FileTree:
    """The whole of a tenant's tree: the same names in its root and in /a/b."""
    tree = ModelTree()
    run(tree, "mkdir /a, mkdir /a/b, write /secret outside, mkdir /a/bc, write /a/bc/f outside")
    for folder in ("", "/a/b"):
        run(tree, f"write {folder}/f in{folder}, write {folder}/g g, mkdir {folder}/d")
        run(tree, f"write {folder}/d/h h, mkdir {folder}/e, write {folder}/e/i i")
    return tree


@pytest.fixture(params=["/", "/a/b"])
def root(request: pytest.FixtureRequest) -> Path:
    return folder_path(request.param)


@pytest.mark.parametrize("rights", EVERY_RIGHT, ids=named)
@pytest.mark.parametrize("method", METHODS)
def test_each_method_needs_its_rights_and_no_others(
    tenant: FileTree, root: Path, method: str, rights: Right
) -> None:
    act, needed = METHODS[method]
    before = snapshot(tenant)
    tree = ConfinedTree(tenant, rights, root)
    if needed in rights:
        act(tree)
        return
    with pytest.raises(NotAllowed):
        act(tree)
    assert snapshot(tenant) == before


@pytest.mark.parametrize("rights", EVERY_RIGHT, ids=named)
def test_properties_are_set_by_who_may_write_and_see_them(
    tenant: FileTree, root: Path, rights: Right
) -> None:
    tree = ConfinedTree(tenant, rights, root)
    changed = {"{x:}a": "<a/>"}
    if WRITE in rights and rights & (READ | LIST):
        assert tree.set_properties(path("/f"), set=changed).properties == changed
        return
    with pytest.raises(NotAllowed):
        tree.set_properties(path("/f"), set=changed)
    assert ConfinedTree(tenant, ALL_RIGHTS, root).properties(path("/f")) == {}


@pytest.mark.parametrize("rights", EVERY_RIGHT, ids=named)
def test_any_right_lets_one_look_but_properties_need_reading_or_listing(
    tenant: FileTree, root: Path, rights: Right
) -> None:
    tree = ConfinedTree(tenant, rights, root)
    kept = {"{x:}a": "<a/>"}
    ConfinedTree(tenant, ALL_RIGHTS, root).set_properties(path("/f"), set=kept)
    sees = bool(rights & (READ | LIST))
    entry = tree.stat(path("/f"))
    assert (entry.size, entry.properties) == (len(f"in{root}".rstrip("/")), kept if sees else {})
    if sees:
        assert tree.properties(path("/f")) == kept
    else:
        with pytest.raises(NotAllowed):
            tree.properties(path("/f"))


def test_without_any_right_nothing_can_be_seen(tenant: FileTree) -> None:
    with pytest.raises(NotAllowed):
        ConfinedTree(tenant, Right(0)).stat(path("/f"))


class _Mine(Exception):
    """Raised by a guard."""


def test_what_appears_while_a_body_comes_is_not_replaced_by_who_may_not(
    tenant: FileTree, root: Path
) -> None:
    tree = ConfinedTree(tenant, WRITE, root)
    writer = tree.create(path("/new"), size=None)
    writer.write(b"theirs")
    write(ConfinedTree(tenant, ALL_RIGHTS, root), "/new", b"first")
    with pytest.raises(NotAllowed):
        writer.commit()
    assert read(ConfinedTree(tenant, ALL_RIGHTS, root), "/new") == b"first"


def test_what_appears_before_a_copy_ends_is_not_replaced_by_who_may_not(
    tenant: FileTree, root: Path
) -> None:
    class Late(ConfinedTree):
        """Looks before somebody else writes."""

        def stat(self, path: Path) -> Entry:
            raise NoSuchFile(str(path))

    whole = ConfinedTree(tenant, ALL_RIGHTS, root)
    tree = ConfinedTree(Late(tenant, ALL_RIGHTS), READ | WRITE, root)
    with pytest.raises(NotAllowed):
        tree.copy(path("/f"), path("/g"), overwrite=True)
    with pytest.raises(NotAllowed):
        tree.copy(path("/d"), path("/e"), overwrite=True)
    run(whole, "is /g g, list /e i")


def test_the_callers_guard_is_asked_first_and_with_what_is_there(tenant: FileTree) -> None:
    tree = ConfinedTree(tenant, WRITE)
    seen: list[Entry | None] = []

    def guard(entry: Entry | None) -> None:
        seen.append(entry)
        raise _Mine

    writer = tree.create(path("/new"))
    with pytest.raises(_Mine):
        writer.commit(guard)
    assert seen == [None]


class TestAFolderOfItsOwn:
    @pytest.fixture
    def tree(self, tenant: FileTree) -> ConfinedTree:
        return ConfinedTree(tenant, ALL_RIGHTS, folder_path("/a/b"))

    def test_is_all_it_sees(self, tree: FileTree, tenant: FileTree) -> None:
        assert snapshot(tree) == snapshot(tenant, folder_path("/a/b"))
        assert tree.usage() == tenant.usage(path("/a/b"))
        run(tree, "none /secret, none /a, none /a/b, none /bc")

    @pytest.mark.parametrize(
        "names",
        [
            ("..",),
            ("..", "secret"),
            (".",),
            ("../secret",),
            ("d", "..", "..", "..", "secret"),
            ("/secret",),
            ("a/bc/f",),
            ("",),
            ("", "..", "secret"),
            ("\0",),
            ("\u2025",),
            ("\uff0e\uff0e", "secret"),
        ],
        ids=repr,
    )
    def test_is_not_left_by_any_name(
        self, tree: FileTree, tenant: FileTree, names: tuple[str, ...]
    ) -> None:
        """Doors let no such names through: even if one did, they would be names and no more."""
        before = snapshot(tenant)
        odd = Path(names)
        acts: tuple[Callable[[], object], ...] = (
            lambda: tree.stat(odd),
            lambda: list(tree.list(odd)),
            lambda: drain(tree.open(odd)),
            lambda: tree.delete(odd),
            lambda: tree.move(odd, path("/x"), overwrite=True),
            lambda: tree.copy(odd, path("/x"), overwrite=True),
            lambda: tree.properties(odd),
            lambda: tree.set_properties(odd, set={"{x:}a": "<a/>"}),
        )
        for act in acts:
            with pytest.raises(NoSuchFile):
                act()
        assert snapshot(tenant) == before

    def test_shows_its_root_without_name_and_properties(
        self, tree: FileTree, tenant: FileTree
    ) -> None:
        tenant.set_properties(path("/a/b"), set={"{x:}a": "<a/>"})
        entry = tree.stat(Path())
        assert (entry.name, entry.is_directory, entry.properties) == ("", True, {})
        assert entry.mtime == tenant.stat(path("/a/b")).mtime
        assert tree.properties(Path()) == {}
        with pytest.raises(RootRefused):
            tree.set_properties(Path(), set={"{x:}a": "<b/>"})

    def test_has_a_root_that_stays(self, tree: FileTree, tenant: FileTree) -> None:
        before = snapshot(tenant)
        run(
            tree,
            "delete / want root-refused, move / /d/x want root-refused, "
            "move! /d / want root-refused, copy! /d / want root-refused, "
            "copy / /d/x want root-refused, write / x want root-refused, "
            "mkdir / want already-exists",
        )
        assert snapshot(tenant) == before

    @pytest.mark.parametrize("instead", ["", "write /a/b file"], ids=["nothing", "a file"])
    def test_is_nothing_when_somebody_removed_it(
        self, tree: FileTree, tenant: FileTree, instead: str
    ) -> None:
        run(tenant, f"move /a/b /kept, {instead}")
        before = snapshot(tenant)
        run(
            tree,
            "none /, none /f, list / want no-such-file, open / want no-such-file, "
            "open /f want no-such-file, props / want no-such-file, "
            "delete / want no-such-file, delete /f want no-such-file, "
            "move / /x want no-such-file, move! /f / want no-such-file, "
            "copy /f /x want no-such-file, copy! /f / want no-such-file, "
            "set / a b want no-such-file, mkdir / want no-such-parent, "
            "mkdir /x want no-such-parent, write /x x want no-such-parent",
        )
        with pytest.raises(NoSuchFile):
            tree.usage()
        assert snapshot(tenant) == before
        run(tenant, f"{'delete /a/b' if instead else ''}, move /kept /a/b")
        assert names(tree, "/") == ["d", "e", "f", "g"]

    def test_that_goes_while_a_body_comes_takes_the_body_along(
        self, tree: FileTree, tenant: FileTree
    ) -> None:
        writer = tree.create(path("/new"))
        writer.write(b"x")
        run(tenant, "delete /a/b, mkdir /a/b")
        with pytest.raises(NoSuchParent):
            writer.commit()
        assert names(tenant, "/a/b") == []

    def test_is_found_in_any_form_of_its_name(self, tenant: FileTree) -> None:
        tenant.mkdir(path("/caf\u00e9"))
        write(tenant, "/caf\u00e9/f", b"x")
        assert names(ConfinedTree(tenant, ALL_RIGHTS, path("/cafe\u0301")), "/") == ["f"]

    def test_is_no_deeper_than_a_tenants_path_may_be(self, tree: FileTree) -> None:
        with pytest.raises(InvalidPath):
            tree.stat(Path(("x",) * (DEPTH_LIMIT - 1)))
        with pytest.raises(NoSuchFile):
            tree.stat(Path(("x",) * (DEPTH_LIMIT - 2)))


ERRORS: list[type[FileError]] = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FileError) and kind is not FileError
]


class _Failing:
    """A tree whose every part raises one error, which tells more than it should."""

    def __init__(self, kind: type[FileError]) -> None:
        self.kind = kind

    def __getattr__(self, _name: str) -> Callable[..., object]:
        def fail(*_args: object, **_more: object) -> object:
            raise self.kind("/a/b/hidden and /a/bc")

        return fail


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_tells_where_a_folder_lies(kind: type[FileError]) -> None:
    tree = ConfinedTree(_Failing(kind), ALL_RIGHTS, folder_path("/a/b"))  # type: ignore[arg-type]
    acts = [act for act, _ in METHODS.values()]
    acts.append(lambda tree: tree.set_properties(path("/f"), set={}))
    acts.append(lambda tree: tree.properties(path("/f")))
    acts.append(lambda tree: tree.stat(path("/f")))
    for act in acts:
        with pytest.raises(kind) as raised:
            act(tree)
        assert type(raised.value) is kind
        assert kind is NotAllowed or not any(
            word in str(raised.value) for word in ("/a", "hidden", "bc")
        )
    if kind is not NotAllowed:
        with pytest.raises(kind, match="/a/bc"):
            ConfinedTree(_Failing(kind), ALL_RIGHTS).stat(path("/x"))  # type: ignore[arg-type]


class _Torn(ModelTree):
    """A tree whose listings, readers and writers fail after they began."""

    def list(self, path: Path) -> Iterator[Entry]:
        super().list(path)
        return self._torn(path)

    def _torn(self, path: Path) -> Iterator[Entry]:
        yield Entry("f", is_directory=False)
        raise errors.StorageUnavailable(f"{path}")


def test_nor_one_in_the_middle_of_a_listing() -> None:
    tenant = _Torn()
    run(tenant, "mkdir /a, mkdir /a/b")
    tree = ConfinedTree(tenant, ALL_RIGHTS, folder_path("/a/b"))
    entries = tree.list(Path())
    assert next(entries).name == "f"
    with pytest.raises(errors.StorageUnavailable) as raised:
        next(entries)
    assert "/a" not in str(raised.value)
