"""The folder an export is written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.files.plain_folder import WORKSHOP, CannotWrite, Names, PlainFolder, TargetError

FILE_NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.sampled_from(
        ["", ".", "..", "a/b", "../../etc", "\0", "a", "A", "a (2)", "\u00e9", "e\u0301"]
    ),
    st.text("\U0001f33b\u65e5", min_size=60, max_size=100),
)


@given(st.lists(FILE_NAMES, max_size=30), st.booleans())
def test_whatever_the_names_each_gets_one_of_its_own_that_a_disk_takes(
    names: list[str], fold: bool
) -> None:
    taking = Names(fold=fold, reserved=(WORKSHOP,))
    taken = [taking.take(name) for name in names]
    keys = {name.casefold() for name in taken} if fold else set(taken)
    assert len(keys) == len(names)
    assert WORKSHOP not in keys
    for name in taken:
        assert 1 <= len(name.encode()) <= 255
        assert name not in (".", "..")
        assert not set(name) & {"/", "\0"}


@given(st.lists(FILE_NAMES, unique=True, max_size=30))
def test_a_possible_name_stays_as_it_is(names: list[str]) -> None:
    possible = [
        name
        for name in names
        if 0 < len(name.encode()) <= 255 and name not in (".", "..") and not set(name) & {"/", "\0"}
    ]
    taking = Names(fold=False)
    assert [taking.take(name) for name in possible] == possible


def test_a_name_that_is_taken_keeps_its_suffix() -> None:
    taking = Names(fold=True)
    assert [taking.take(name) for name in ("Plan.txt", "plan.txt", "PLAN.TXT", ".rc", ".RC")] == [
        "Plan.txt",
        "plan (2).txt",
        "PLAN (3).TXT",
        ".rc",
        ".RC (2)",
    ]


def half_a_file(folder: PlainFolder, path: Path) -> None:
    with folder.new_file(path, 1.0) as file:
        file.write(b"half")
        raise ZeroDivisionError


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with PlainFolder(tmp_path / "target") as folder:
        path = folder.path / "file"
        with pytest.raises(ZeroDivisionError):
            half_a_file(folder, path)
        assert not path.exists()
        with folder.new_file(path, -86_400.5) as file:
            file.write(b"whole")
            assert not path.exists()
        assert path.read_bytes() == b"whole"
        assert path.stat().st_mtime == -86_400.5
        assert folder.has(path, 5, -86_400.5)
        assert not folder.has(path, 5, -86_400.0)
        assert not folder.has(path, 4, -86_400.5)
    assert list(folder.path.iterdir()) == [path]


def test_times_of_coarse_disks_count_as_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with PlainFolder(tmp_path) as folder:
        for kept in (1_700_000_000_123_456_700, 1_700_000_000 * 10**9):
            os.utime(path, ns=(kept, kept))
            assert folder.has(path, 0, 1_700_000_000.1234567)
        assert not folder.has(path, 0, 1_700_000_003.0)


def test_times_beyond_those_of_a_disk_are_no_failure(tmp_path: Path) -> None:
    with PlainFolder(tmp_path) as folder:
        for number, mtime in enumerate((-(2.0**38) + 1, 2.0**38 - 1)):
            with folder.new_file(tmp_path / str(number), mtime) as file:
                file.write(b"content")
            assert (tmp_path / str(number)).read_bytes() == b"content"


def test_a_link_in_the_target_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    with PlainFolder(tmp_path / "target") as folder:
        (folder.path / "folder").symlink_to(outside)
        (folder.path / "file").symlink_to(outside / "file")
        with pytest.raises(CannotWrite, match="something else"):
            folder.make_folder(folder.path / "folder")
        with folder.new_file(folder.path / "file", 0.0) as file:
            file.write(b"theirs")
    assert (outside / "file").read_bytes() == b"mine"
    assert not (folder.path / "file").is_symlink()


def test_one_export_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    with PlainFolder(tmp_path), pytest.raises(TargetError, match="another export"):
        PlainFolder(tmp_path)
    PlainFolder(tmp_path).close()


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / WORKSHOP).mkdir()
    (tmp_path / WORKSHOP / "7").write_bytes(b"half")
    with PlainFolder(tmp_path):
        assert list((tmp_path / WORKSHOP).iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="file"):
        PlainFolder(tmp_path / "file")
