"""Rule 7 on a real network: the satellite does what a change asks of it, and its answer is lost.

By scripts, on every store: ``TestRule7LostAnswers`` in ``test_rules.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

import pytest

from bridge.store.retrying import RetryingStore
from tests.files.script import path, read, run, snapshot, write
from tests.files.vault import OpenNew, Vault, check_clean, end_refused_uploads
from tests.network.client import Network

BIG = {"{x}p": "v" * 4_000}
STREAMED = b"streamed" * (3 << 17)


@pytest.fixture
def vault(storj_vaults: OpenNew, tmp_path: FilePath) -> Iterator[Vault]:
    with storj_vaults(tmp_path) as made:
        yield made


@contextmanager
def lost(network: Network, method: str, times: int = 1) -> Iterator[None]:
    """The next answers to ``method`` do not arrive."""
    before = network.proxies()["satellite"].lost
    network.lose(method, times)
    try:
        yield
    finally:
        count = network.proxies()["satellite"].lost - before
        network.restore("satellite")
    assert count == times


CASES = [
    ("new write /n new", "CommitObject", "is /n new"),
    ("old write /f new", "CommitObject", "is /f new"),
    ("mkdir /n", "CommitObject", "folder /n"),
    ("new move /f /n", "BeginMoveObject", "is /n f, none /f"),
    ("new move /f /n", "FinishMoveObject", "is /n f, none /f"),
    ("old move! /f /g", "FinishMoveObject", "is /g f, none /f"),
    ("new move /d /n", "FinishMoveObject", "is /n/f x, none /d"),
    ("old move! /f /d", "FinishMoveObject", "is /d f, none /f"),
    ("new copy /f /n", "FinishCopyObject", "is /n f, is /f f"),
    ("new copy /f /n", "UpdateObjectMetadata", "is /n f, is /f f"),
    ("old copy! /f /g", "FinishCopyObject", "is /g f, is /f f"),
    ("new copy /d /n", "CommitObject", "is /n/f x, is /d/f x"),
    ("new copy /d /n", "FinishCopyObject", "is /n/f x, is /d/f x"),
    ("delete /f", "BeginDeleteObject", "none /f"),
    ("delete /d", "FinishMoveObject", "none /d"),
    ("set /f {x}p v", "UpdateObjectMetadata", "is /f f"),
]


@pytest.mark.parametrize(("script", "method", "check"), CASES)
def test_a_change_whose_answer_is_lost_succeeds_once(
    network: Network, vault: Vault, script: str, method: str, check: str
) -> None:
    run(vault.tree(), "write /f f, write /g g, mkdir /d, write /d/f x")
    tree = vault.tree(RetryingStore(vault.store, first=0.01))
    with lost(network, method):
        run(tree, script)
    run(tree, check)
    run(vault.tree(), check)
    end_refused_uploads(vault)
    check_clean(vault)
    run(vault.tree(), check)


@pytest.mark.parametrize("there", [False, True], ids=["new", "overwritten"])
def test_a_streamed_file_whose_commits_answer_is_lost_is_published_once(
    network: Network, vault: Vault, there: bool
) -> None:
    tree = vault.tree(RetryingStore(vault.store, first=0.01))
    if there:
        write(tree, "/f", b"old")
    with lost(network, "CommitObject"):
        entry, new = write(tree, "/f", STREAMED)
    assert new is not there
    for each in (tree, vault.tree()):
        assert each.stat(path("/f")).etag == entry.etag
        assert read(each, "/f") == STREAMED
    check_clean(vault)


def test_spilled_properties_whose_commits_answers_are_lost_are_kept(
    network: Network, vault: Vault
) -> None:
    write(vault.tree(), "/f", b"x")
    vault.tree().set_properties(path("/f"), set=BIG)
    tree = vault.tree(RetryingStore(vault.store, first=0.01))
    with lost(network, "CommitObject", 2):
        tree.copy(path("/f"), path("/g"), overwrite=False)
    assert vault.tree().properties(path("/g")) == BIG
    assert snapshot(vault.tree()) == {"f": b"x", "g": b"x"}
    end_refused_uploads(vault)
    check_clean(vault)
