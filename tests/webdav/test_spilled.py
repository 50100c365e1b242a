"""PROPFIND of files whose dead properties did not fit their record and are read for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest

from bridge.state.api import Locks
from tests.files.script import path, run
from tests.files.scripted_store import ScriptedStore
from tests.files.vault import LAYOUT, Vault, memory_vault
from tests.webdav.client import Client
from tests.webdav.server import running

BIG = {"{x}big": f"<big xmlns='x'>{'v' * 4_000}</big>"}
NAMES = "".join(f"<n{number} xmlns='y'/>" for number in range(500))
ASKED = f"<D:propfind xmlns:D='DAV:'><D:prop>{NAMES}</D:prop></D:propfind>".encode()


@pytest.fixture
def vault(tmp_path: FilePath) -> Iterator[Vault]:
    folder = tmp_path / "vault"
    folder.mkdir()
    with memory_vault(folder) as made:
        run(made.tree(), "mkdir /d, write /d/f f, write /d/g g")
        made.tree().set_properties(path("/d/f"), set=BIG)
        yield made


@pytest.fixture
def store(vault: Vault) -> ScriptedStore:
    return ScriptedStore(vault.store)


@pytest.fixture
def dav(vault: Vault, store: ScriptedStore, locks: Locks) -> Iterator[Client]:
    with running(vault.tree(store), locks) as server:
        yield server.client()


@pytest.mark.parametrize("body", [None, ASKED], ids=["all", "named"])
def test_a_file_deleted_meanwhile_does_not_take_its_folder_with_it(
    vault: Vault, store: ScriptedStore, dav: Client, body: bytes | None
) -> None:
    stranger = vault.tree()
    store.on("get", lambda _call: run(stranger, "delete /d/f"), part=LAYOUT.spills)
    reply = dav("PROPFIND", "/d/", body, Depth="1")
    assert reply.status == 207
    assert "/dav/d/g" in reply.hrefs
    assert store.done


def test_lost_properties_of_one_file_do_not_hide_its_folder(vault: Vault, dav: Client) -> None:
    vault.store.delete(vault.keys_under(LAYOUT.spills)[0])
    reply = dav("PROPFIND", "/d/", Depth="1")
    assert reply.status == 207
    assert sorted(reply.hrefs) == ["/dav/d/", "/dav/d/f", "/dav/d/g"]


def test_they_are_read_once_however_many_are_asked_for(store: ScriptedStore, dav: Client) -> None:
    assert dav("PROPFIND", "/d/", ASKED, Depth="1").status == 207
    assert store.count("get") == 1
