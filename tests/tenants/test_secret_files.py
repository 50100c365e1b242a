"""Files that hold a secret."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from bridge.tenants.keks import BadKek, new_kek, parse_keks
from bridge.tenants.secret_files import SecretFileError, is_private, read_or_make, read_secret


def test_it_is_made_once_privately_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    assert read_or_make(file, lambda: "first") == "first"
    assert read_or_make(file, lambda: "second") == "first"
    assert is_private(file)
    assert list(tmp_path.iterdir()) == [file]


def test_who_makes_it_at_once_gets_the_same(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    counter = itertools.count()
    found: list[str] = []

    def make() -> None:
        start.wait()
        found.append(read_or_make(tmp_path / "secret", lambda: f"secret-{next(counter)}"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_draft_left_by_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".secret.draft").write_text("half")
    assert read_or_make(tmp_path / "secret", lambda: "whole") == "whole"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "not text"), (b"x" * 5_000, "larger")],
)
def test_a_file_that_will_not_do_is_named_with_the_reason(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretFileError, match=words) as caught:
        read_secret(tmp_path / "secret")
    assert str(tmp_path / "secret") in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="cannot be read: No such file"):
        read_secret(tmp_path / "none")


def test_keys_are_lines_of_base64_and_comments_are_skipped() -> None:
    first, second = new_kek(), new_kek()
    keks = parse_keks(f"# current\n{first}\n\n{second}  # until 2030\n")
    assert [kek.id for kek in keks] == [parse_keks(first)[0].id, parse_keks(second)[0].id]


@pytest.mark.parametrize("text", ["short", "A" * 43 + "=\nA", "A" * 42 + "=="])
def test_a_bad_key_is_told_by_its_line_and_not_repeated(text: str) -> None:
    with pytest.raises(BadKek, match="line") as caught:
        parse_keks(text)
    assert "AAAA" not in str(caught.value)
    assert "short" not in str(caught.value)


def test_a_file_of_comments_holds_no_key() -> None:
    with pytest.raises(BadKek, match="no key"):
        parse_keks("# nothing\n")
