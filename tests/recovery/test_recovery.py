"""Everything comes back without the bridge, by the document's own commands and script."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.crypto.age import generate_identity
from bridge.files.path import Path as FilePath
from tests.recovery.document import DOCUMENT, Person, commands, script
from tests.recovery.lost import Lost
from tests.recovery.scene import (
    APART,
    TENANT,
    with_folders_as_recovered,
    write_all,
)
from tests.recovery.uplink_cli import VERSION

pytestmark = [pytest.mark.usefixtures("age"), pytest.mark.timeout(600)]


def test_the_whole_tree_comes_back_as_webdav_shows_it(lost: Lost) -> None:
    write_all(lost.scene)
    shown = lost.scene.shown()
    assert len(shown) > 80
    ended, found = lost.recover()
    assert ended.errors == ""
    assert ended.code == 0
    assert found == with_folders_as_recovered(shown)
    for names, seen in found.items():
        if not seen.digest:
            assert seen.mtime <= shown[names].mtime
    (removed,) = re.findall(r"^left out, deleted or lost: \['([^']+)'", ended.output, re.MULTILINE)
    again, other = lost.recover(folder=removed)
    assert (again.code, again.errors) == (0, "")
    assert {names: bool(seen.digest) for names, seen in other.items() if names not in found} == {
        ("below",): False,
        ("below", "gone"): True,
    }


def test_the_grant_tells_where_the_tenant_is(on_storj: Lost) -> None:
    export, inspect, _ = commands("From Storj")
    told = on_storj.person.shell(f"{export}\n{inspect}")
    assert told.code == 0
    assert f'"bucket": "{on_storj.named["BUCKET"]}"' in told.output
    assert f'"unencrypted_path": "{TENANT}"' in told.output


def test_an_interrupted_recovery_goes_on_where_it_was(on_local: Lost) -> None:
    for number in range(4):
        on_local.scene.put(f"file {number}", body=b"content" * number)
    _, whole = on_local.recover()
    (on_local.target / "file 1").unlink()
    (on_local.target / "file 2").write_bytes(b"cut")
    kept = (on_local.target / "file 3").stat()
    ended, found = on_local.recover()
    assert ended.code == 0
    assert found == whole
    assert (on_local.target / "file 3").stat().st_ino == kept.st_ino


def test_a_file_of_two_segments_comes_back_from_storj(on_storj: Lost) -> None:
    content = os.urandom(1 << 20) * 65
    on_storj.scene.put("large", body=content)
    ended, _ = on_storj.recover()
    assert (ended.code, ended.errors) == (0, "")
    assert (on_storj.target / "large").read_bytes() == content


def test_one_file_opens_by_hand_on_storj(on_storj: Lost) -> None:
    on_storj.scene.put("plan", body=b"at dawn")
    listed = on_storj.person.run(
        "uplink --interactive=false ls -r sj://BUCKET/TENANT/", **on_storj.named
    )
    (key,) = re.findall(r"\d+ +acme/(d/\S+)$", listed.output, re.MULTILINE)
    by_hand, _ = commands("One file by hand")
    opened = on_storj.person.run(by_hand, **{"d/FOLDER/NAME": key}, **on_storj.named)
    assert opened.code == 0, opened.errors
    assert (on_storj.person.folder / "FILE").read_bytes() == b"at dawn"


def key_of(lost: Lost, name: str) -> str:
    """The key of what lies in the root under ``name``."""
    return lost.scene.tree.vault.walker.place(FilePath((name,))).key


def rewrite(lost: Lost, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change the stored body of a file, behind the bridge's back."""
    store, key = lost.scene.store, key_of(lost, name)
    with store.get(key) as download:
        body = bytearray(download.info.size)
        assert download.readinto(memoryview(body)) == len(body)
        metadata = download.info.metadata
    assert metadata is not None
    upload = store.put(key)
    upload.write(change(bytes(body)))
    upload.commit(metadata)


def test_what_is_damaged_is_listed_and_the_rest_comes_back(on_local: Lost) -> None:
    scene, store = on_local.scene, on_local.scene.store
    for name in ("whole", "altered", "cut", "longer", "unknown"):
        scene.put(name, body=os.urandom(70_000))
    scene.put("without body", body=os.urandom(2 * APART))
    scene.folder("lost folder")
    scene.put("lost folder", "in it", body=b"found by its folder's id")
    rewrite(on_local, "altered", lambda body: body[:-1] + bytes([body[-1] ^ 1]))
    rewrite(on_local, "cut", lambda body: body[:-20])
    rewrite(on_local, "longer", lambda body: body + b"more")
    unknown = key_of(on_local, "unknown")
    info = store.stat(unknown)
    assert info.metadata is not None
    store.set_metadata(unknown, {"r": info.metadata["r"][:-4] + "AAAA"}, info.version)
    (apart,) = store.list(f"{TENANT}/o/")
    store.delete(apart.key)
    store.delete(key_of(on_local, "lost folder"))
    ended, found = on_local.recover()
    assert ended.code == 1
    assert set(found) == {("whole",)}
    told = ended.errors.splitlines()
    for name in ("altered", "cut", "longer", "without body"):
        assert any(f"{name}' is not restored" in line for line in told), name
    entry = unknown.removeprefix(f"{TENANT}/")
    assert any(line.startswith(f"{entry!r} in ") and "does not open" in line for line in told)
    (folder,) = re.findall(r"^linked nowhere: folder '(\S+)'$", ended.errors, re.MULTILINE)
    assert len(told) == 6
    shutil.rmtree(on_local.target)
    ended, found = on_local.recover(folder=folder)
    assert (ended.code, set(found)) == (0, {("in it",)})


def test_hostile_names_stay_in_the_target(on_local: Lost) -> None:
    scene = on_local.scene
    vault = scene.tree.vault
    scene.put("good", body=b"good")
    key = vault.walker.place(FilePath(("good",))).key
    hostile = ("..", ".", "a/b", "../../evil", "/tmp/evil", "nul\0", "x" * 256)
    for name in hostile:
        scene.store.copy(
            key, vault.layout.entry(vault.root, vault.keys.names.seal(vault.root, name))
        )
    before = {path for path in on_local.person.folder.parent.rglob("*") if path.is_file()}
    ended, found = on_local.recover()
    assert ended.code == 1
    assert len(found) == 1 + len(hostile)
    assert len({seen.digest for seen in found.values()}) == 1
    for name in hostile:
        assert any(line.startswith(f"{name!r} in ") for line in ended.errors.splitlines()), name
    after = {path for path in on_local.person.folder.parent.rglob("*") if path.is_file()}
    assert {path for path in after - before if on_local.target not in path.parents} == set()


def test_a_folder_at_two_places_and_one_in_itself_end(on_local: Lost) -> None:
    scene = on_local.scene
    vault = scene.tree.vault
    scene.folder("one")
    scene.put("one", "file", body=b"content")
    place = vault.walker.place(FilePath(("one",)))
    inside = vault.walker.find_existing(FilePath(("one",)))[1].object_id
    seal = vault.keys.names.seal
    scene.store.copy(place.key, vault.layout.entry(vault.root, seal(vault.root, "two")))
    scene.store.copy(place.key, vault.layout.entry(inside, seal(inside, "itself")))
    ended, found = on_local.recover()
    assert ended.code == 1
    assert len(re.findall(r"is empty: its files are in", ended.errors)) == 2
    assert sum(bool(seen.digest) for seen in found.values()) == 1


def test_where_the_disk_ignores_case_no_file_replaces_another(on_local: Lost) -> None:
    on_local.scene.put("Name", body=b"upper")
    on_local.scene.put("name", body=b"lower")
    # A disk that says so of itself; that this one does not do so changes nothing.
    text = "import os\nos.path.exists = lambda path: True\n" + script()
    (on_local.person.folder / "recover.py").write_text(text)
    ended, found = on_local.recover()
    assert ended.code == 1
    assert len(found) == 2
    assert len(ended.errors.splitlines()) == 1
    assert "is written as" in ended.errors


def test_a_wrong_identity_is_told(on_local: Lost) -> None:
    on_local.scene.put("file", body=b"content")
    other, _ = generate_identity()
    (on_local.person.folder / "identity.txt").write_text(other)
    ended, found = on_local.recover()
    assert ended.code != 0
    assert "no identity matched" in ended.errors
    assert found == {}


def test_the_script_is_short_and_needs_two_packages() -> None:
    text = script()
    assert len(text.splitlines()) <= 170
    imported = set()
    for node in ast.walk(ast.parse(text, feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cbor2", "cryptography"}


def test_the_document_says_how_to_save_the_script(tmp_path: Path) -> None:
    person = Person(tmp_path / "person", "")
    (person.folder / "recover.py").unlink()
    *_, save = commands("Prepare")
    assert person.run(save, **{"docs/recovery.md": str(DOCUMENT)}).code == 0
    assert (person.folder / "recover.py").read_text("utf-8") == script()


def test_the_document_installs_the_uplink_that_is_tested() -> None:
    assert f"go install storj.io/storj/cmd/uplink@{VERSION}" in commands("Prepare")
