"""Content: ranges at every boundary, sizes, and what readers see while it changes."""

from __future__ import annotations

import hashlib

import pytest

from bridge.files.api import FileTree
from tests.files.script import drain, path, read, run, write

CHUNK = 65_536
MIB = 1 << 20
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, MIB - 1, MIB, MIB + 1, 2 * MIB + CHUNK + 7]


def content_of(size: int, seed: bytes = b"") -> bytes:
    """Bytes that do not repeat, so that a chunk in another's place is noticed."""
    return hashlib.shake_128(seed + size.to_bytes(8, "big")).digest(size)


@pytest.mark.parametrize("size", SIZES)
def test_content_of_every_size_comes_back_whole(tree: FileTree, size: int) -> None:
    content = content_of(size)
    entry, _ = write(tree, "/f", content)
    assert entry.size == size
    assert tree.stat(path("/f")).size == size
    assert read(tree, "/f") == content


@pytest.mark.parametrize("piece", [1_000, CHUNK - 1, CHUNK, CHUNK + 1, MIB + 1])
def test_content_written_in_pieces_of_any_size_is_the_same(tree: FileTree, piece: int) -> None:
    content = content_of(MIB + CHUNK + 1)
    writer = tree.create(path("/f"), size=len(content))
    for start in range(0, len(content), piece):
        writer.write(memoryview(content)[start : start + piece])
    writer.write(b"")
    writer.commit()
    assert read(tree, "/f") == content


@pytest.mark.parametrize("block", [1_000, CHUNK - 1, CHUNK, MIB, 10 * MIB])
def test_content_read_in_blocks_of_any_size_is_the_same(tree: FileTree, block: int) -> None:
    content = content_of(MIB + CHUNK + 1)
    write(tree, "/f", content)
    assert drain(tree.open(path("/f")), block) == content


def test_every_range_around_a_boundary_is_cut_right(tree: FileTree) -> None:
    content = content_of(MIB + CHUNK + 5)
    write(tree, "/f", content)
    edges = [0, CHUNK, 2 * CHUNK, MIB, len(content)]
    points = sorted({max(0, edge + by) for edge in edges for by in (-1, 0, 1)})
    for start in points:
        for end in points:
            if end >= start:
                assert read(tree, "/f", start, end - start) == content[start:end], (start, end)


def test_a_range_without_length_goes_to_the_end(tree: FileTree) -> None:
    content = content_of(3 * CHUNK + 1)
    write(tree, "/f", content)
    for start in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 1, 4 * CHUNK):
        assert read(tree, "/f", start) == content[start:]


def test_a_range_past_the_end_is_cut_and_one_after_it_is_empty(tree: FileTree) -> None:
    write(tree, "/f", b"12345")
    assert read(tree, "/f", 3, 100) == b"45"
    assert read(tree, "/f", 5, 1) == b""
    assert read(tree, "/f", 1_000_000, 1) == b""
    assert read(tree, "/f", 0, 0) == b""
    write(tree, "/empty", b"")
    assert read(tree, "/empty", 0, 10) == b""
    assert read(tree, "/empty", 10) == b""


def test_an_open_reader_sees_one_version_to_its_end(tree: FileTree) -> None:
    old, new = content_of(2 * MIB, b"old"), content_of(2 * MIB, b"new")
    etag = write(tree, "/f", old)[0].etag
    with tree.open(path("/f")) as reader:
        begun = bytes(reader.read(1_000))
        write(tree, "/f", new)
        assert reader.entry.etag == etag
        assert begun + drain(reader) == old
    assert read(tree, "/f") == new


@pytest.mark.parametrize("change", ["delete /f", "move /f /g", "delete /d", "move /d /e"])
def test_an_open_reader_reads_on_while_its_file_or_folder_goes(tree: FileTree, change: str) -> None:
    content = content_of(2 * MIB)
    run(tree, "mkdir /d")
    where = "/d/f" if "/d" in change else "/f"
    write(tree, where, content)
    with tree.open(path(where)) as reader:
        begun = bytes(reader.read(1_000))
        run(tree, change)
        assert begun + drain(reader) == content


def test_a_reader_may_be_closed_early_and_twice(tree: FileTree) -> None:
    write(tree, "/f", content_of(2 * MIB))
    reader = tree.open(path("/f"))
    assert reader.read(10)
    reader.close()
    reader.close()
    run(tree, "delete /f, none /f")


def test_content_goes_with_moves_and_copies(tree: FileTree) -> None:
    content = content_of(MIB + 1)
    write(tree, "/f", content)
    run(tree, "mkdir /d, copy /f /d/c, move /f /d/m, copy /d /e, move /e /d/e")
    for where in ("/d/c", "/d/m", "/d/e/c", "/d/e/m"):
        assert read(tree, where) == content
