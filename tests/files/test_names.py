"""Names: any that a client may write is kept as written, and the two Unicode forms are one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.files.api import Entry, FileTree
from bridge.files.path import NAME_LIMIT, Path
from tests.files.conftest import FreshFolder
from tests.files.model_tree import ModelTree, normalized
from tests.files.script import names, read, write

NFC = "Caf\u00e9"
NFD = "Cafe\u0301"
OTHER = "\u00c5ngstro\u0308m"
"""Neither form: composed in the first letter, decomposed in the sixth."""

ODD = [
    "a;b",
    "a?b",
    "a#b",
    "100%",
    "%41",
    "%2F",
    "a+b c",
    "'single' \"double\" `back`",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ".hidden",
    "..two",
    "...",
    "trailing ",
    " leading",
    "dot.",
    "\\back\\slash",
    "a:b*c<d>|e",
    "tab\tnewline\nreturn\r",
    "\x01\x1f\x7f",
    "\u202egnp.exe",
    "\ufeffbom",
    "CON",
    "-rf",
    "~",
    "_" * NAME_LIMIT,
    "\u00e9" * 127,
    "\U0001f600" * 63,
    "\u0130\u0131\u00df\u1e9e",
    "\uac00\u1100\u1161",
    "\u2126\u212b",
    "\ufb01",
    "d",
    "r",
    "x",
]


def top(name: str) -> Path:
    return Path((name,))


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_an_odd_name_is_kept_by_every_operation(tree: FileTree, name: str) -> None:
    write(tree, top(name), b"content")
    assert names(tree, "/") == [name]
    assert tree.stat(top(name)).name == name
    assert read(tree, top(name)) == b"content"
    tree.move(top(name), top("plain"), overwrite=False)
    assert names(tree, "/") == ["plain"]
    tree.mkdir(top("folder"))
    tree.copy(top("plain"), Path(("folder", name)), overwrite=False)
    tree.move(top("folder"), top(name), overwrite=False)
    assert names(tree, "/") == sorted([name, "plain"])
    assert read(tree, Path((name, name))) == b"content"
    tree.copy(top(name), top("copy"), overwrite=False)
    assert names(tree, "/copy") == [name]
    assert tree.set_properties(Path((name, name)), set={"{x}p": "v"}).name == name
    tree.delete(Path((name, name)))
    tree.delete(top(name))
    assert names(tree, "/") == ["copy", "plain"]


def test_all_odd_names_live_in_one_folder(tree: FileTree) -> None:
    for number, name in enumerate(ODD):
        write(tree, top(name), str(number).encode())
    assert names(tree, "/") == sorted(ODD)
    for number, name in enumerate(ODD):
        assert read(tree, top(name)) == str(number).encode()


def test_names_that_differ_in_case_are_two_files(tree: FileTree) -> None:
    write(tree, "/a", b"1")
    write(tree, "/A", b"2")
    assert (read(tree, "/a"), read(tree, "/A")) == (b"1", b"2")


@pytest.mark.parametrize(("first", "second"), [(NFC, NFD), (NFD, NFC)], ids=["nfc", "nfd"])
class TestTheTwoFormsOfAName:
    def test_are_one_file_found_by_both_and_shown_as_first_written(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        write(tree, top(first), b"one")
        for form in (first, second):
            assert tree.stat(top(form)).name == first
            assert read(tree, top(form)) == b"one"
        entry, new = write(tree, top(second), b"two")
        assert (entry.name, new) == (first, False)
        assert names(tree, "/") == [first]
        assert tree.set_properties(top(second), set={"{x}p": "v"}).name == first
        assert read(tree, top(first)) == b"two"
        tree.delete(top(second))
        assert names(tree, "/") == []

    def test_are_one_folder(self, tree: FileTree, first: str, second: str) -> None:
        tree.mkdir(top(first))
        write(tree, Path((second, "f")), b"x")
        assert names(tree, Path((first,))) == ["f"]
        assert names(tree, "/") == [first]
        tree.move(top(second), top("plain"), overwrite=False)
        assert names(tree, "/") == ["plain"]

    def test_change_what_is_shown_by_a_rename(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        etag = write(tree, top(first), b"one")[0].etag
        asked: list[Entry | None] = []
        assert tree.move(top(first), top(second), overwrite=True, guard=asked.append)
        assert asked == [None]
        assert names(tree, "/") == [second]
        assert tree.stat(top(first)).name == second
        assert tree.stat(top(second)).etag == etag
        assert read(tree, top(first)) == b"one"

    def test_change_what_is_shown_of_a_folder_by_a_rename(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        tree.mkdir(top(first))
        write(tree, Path((first, "f")), b"x")
        tree.move(top(first), top(second), overwrite=True)
        assert names(tree, "/") == [second]
        assert tree.stat(top(first)).name == second
        assert read(tree, Path((first, "f"))) == b"x"

    def test_are_renamed_without_leave_to_overwrite(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        write(tree, top(first), b"one")
        tree.move(top(first), top(second), overwrite=False)
        assert names(tree, "/") == [second]

    def test_are_shown_as_the_target_of_a_move_or_copy_names_them(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        write(tree, "/a", b"a")
        tree.copy(top("a"), top(first), overwrite=False)
        assert names(tree, "/") == sorted(["a", first])
        tree.move(top(first), top(second + ".txt"), overwrite=False)
        assert names(tree, "/") == sorted(["a", second + ".txt"])
        tree.copy(top(first + ".txt"), top(first + ".bak"), overwrite=False)
        assert names(tree, "/") == sorted(["a", second + ".txt", first + ".bak"])

    def test_are_replaced_as_a_whole_by_a_move_or_copy(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        write(tree, top(first), b"old")
        write(tree, "/a", b"a")
        tree.copy(top("a"), top(second), overwrite=True)
        assert names(tree, "/") == sorted(["a", second])
        tree.move(top("a"), top(first), overwrite=True)
        assert names(tree, "/") == [first]
        assert read(tree, top(second)) == b"a"

    def test_keep_their_form_inside_a_copied_folder(
        self, tree: FileTree, first: str, second: str
    ) -> None:
        tree.mkdir(top("d"))
        write(tree, Path(("d", first)), b"x")
        tree.copy(top("d"), top("e"), overwrite=False)
        assert names(tree, "/e") == [first]
        assert read(tree, Path(("e", second))) == b"x"


def test_a_name_in_neither_form_is_shown_as_written(tree: FileTree) -> None:
    write(tree, top(OTHER), b"x")
    assert names(tree, "/") == [OTHER]
    assert read(tree, top(normalized(OTHER))) == b"x"


@pytest.mark.parametrize(
    ("composed", "apart"),
    [
        ("\u1b06", "\u1b05\u1b35"),  # Balinese, Unicode 5.0
        ("\U000114bb", "\U000114b9\U000114ba"),  # Tirhuta, Unicode 7.0
        ("\U00011938", "\U00011935\U00011930"),  # Dives Akuru, Unicode 13.0
    ],
    ids=ascii,
)
def test_names_that_only_unicode_after_3_2_takes_for_one_are_two(
    tree: FileTree, composed: str, apart: str
) -> None:
    """If newer tables counted, a file written by one Python would not be found by the next."""
    write(tree, top(composed), b"1")
    write(tree, top(apart), b"2")
    assert (read(tree, top(composed)), read(tree, top(apart))) == (b"1", b"2")


name_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= NAME_LIMIT)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=name_texts, second=name_texts)
def test_any_two_names_behave_as_the_model_says(
    fresh_folder: FreshFolder, first: str, second: str
) -> None:
    tree, folder = fresh_folder()
    model = ModelTree()
    model.mkdir(top("m"))
    for each, base in ((tree, folder), (model, top("m"))):
        write(each, base.child(first), b"1")
        write(each, base.child(second), b"2")
    assert names(tree, folder) == names(model, top("m"))
    assert read(tree, folder.child(first)) == read(model, Path(("m", first)))
