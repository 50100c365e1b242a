"""Another vault, put into the bucket by somebody who has no key, is not taken for the own one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bridge.cli.identity import identity_file
from bridge.crypto import age as age_files
from bridge.store.api import ObjectStore
from bridge.store.local import LocalStore
from bridge.tenants.vault import recovery_content
from tests.recovery.lost import Lost
from tests.recovery.scene import TENANT, Scene, served

pytestmark = pytest.mark.usefixtures("age")

TRUE = f"{TENANT}/recovery/1.age"

PLANTED = f"{TENANT}/recovery/7.age"


@pytest.fixture
def attacker(tmp_path: Path) -> Iterator[Scene]:
    """A vault of the same name, in a store of the attacker's."""
    folder = tmp_path / "attacker"
    folder.mkdir()
    with served(LocalStore(folder / "store"), folder) as scene:
        scene.put("plan", body=b"surrender")
        yield scene


@pytest.fixture
def planted(on_local: Lost, attacker: Scene) -> Lost:
    """A vault beside which another one was put, its recovery file sealed to the true recipient."""
    on_local.scene.put("plan", body=b"at dawn")
    own, _ = attacker.keyrings.newest()
    true, _ = on_local.scene.keyrings.newest()
    content = json.dumps(recovery_content(own)).encode()
    sealed = age_files.encrypt(age_files.Recipient(true.recipient), content)
    write(on_local.scene.store, PLANTED, sealed)
    for info in attacker.store.list(f"{TENANT}/d/", recursive=True):
        with attacker.store.get(info.key) as download:
            body = bytearray(download.info.size)
            assert download.readinto(memoryview(body)) == len(body)
        write(on_local.scene.store, info.key, bytes(body), info.metadata)
    return on_local


def write(
    store: ObjectStore, key: str, content: bytes, metadata: Mapping[str, str] | None = None
) -> None:
    """Put an object, as whoever can write to the bucket."""
    upload = store.put(key)
    upload.write(content)
    upload.commit(metadata or {})


def test_a_planted_recovery_file_is_passed_over(planted: Lost, attacker: Scene) -> None:
    ended, found = planted.recover()
    assert set(found) == {("plan",)}
    assert (planted.target / "plan").read_bytes() == b"at dawn"
    assert f"vault fingerprint {planted.scene.keyrings.fingerprint()}, as noted" in ended.output
    assert ended.code == 1
    assert attacker.keyrings.fingerprint() in ended.errors
    assert "linked nowhere" in ended.errors


def test_a_vault_in_place_of_the_own_one_is_refused(planted: Lost, attacker: Scene) -> None:
    planted.scene.store.delete(TRUE)
    ended, found = planted.recover()
    assert (ended.code, found) == (1, {})
    assert not planted.target.exists()
    assert "nothing is restored" in ended.errors
    assert planted.scene.keyrings.fingerprint() in ended.errors
    assert attacker.keyrings.fingerprint() in ended.errors


def test_without_a_fingerprint_two_vaults_are_too_many(planted: Lost, attacker: Scene) -> None:
    (planted.person.folder / "identity.txt").write_text(planted.scene.identity)
    ended, found = planted.recover()
    assert (ended.code, found) == (1, {})
    assert "nothing is restored" in ended.errors
    marks = planted.scene.keyrings.fingerprint(), attacker.keyrings.fingerprint()
    assert all(mark in ended.errors for mark in marks)


def test_without_a_fingerprint_it_is_told_that_nothing_was_compared(
    planted: Lost, attacker: Scene
) -> None:
    """This is why there is one: what is restored is the attacker's."""
    planted.scene.store.delete(TRUE)
    (planted.person.folder / "identity.txt").write_text(planted.scene.identity)
    ended, _ = planted.recover()
    assert (planted.target / "plan").read_bytes() == b"surrender"
    mark = attacker.keyrings.fingerprint()
    assert f"vault fingerprint {mark}, NOT COMPARED: identity.txt has none" in ended.output


def test_a_recovery_file_that_does_not_open_is_passed_over(on_local: Lost) -> None:
    on_local.scene.put("plan", body=b"at dawn")
    _, stranger = age_files.generate_identity()
    true, _ = on_local.scene.keyrings.newest()
    sealed = age_files.encrypt(age_files.Recipient(stranger), b"{}")
    odd = [age_files.encrypt(age_files.Recipient(true.recipient), each) for each in (b"[]", b"{")]
    for number, content in enumerate((b"", b"no age file", sealed, *odd), 7):
        write(on_local.scene.store, f"{TENANT}/recovery/{number}.age", content)
    ended, found = on_local.recover()
    assert set(found) == {("plan",)}
    assert ended.code == 1
    for number in range(7, 12):
        assert f"'recovery/{number}.age' is passed over" in ended.errors


@pytest.mark.parametrize("noted", ["", "0123", "0123 4567", "{mark}0"])
def test_a_fingerprint_that_is_not_whole_matches_nothing(on_local: Lost, noted: str) -> None:
    on_local.scene.put("plan", body=b"at dawn")
    noted = noted.format(mark=on_local.scene.keyrings.fingerprint())
    text = identity_file(on_local.scene.identity, noted)
    (on_local.person.folder / "identity.txt").write_text(text)
    ended, found = on_local.recover()
    assert (ended.code, found) == (1, {})
    assert "nothing is restored" in ended.errors


@pytest.mark.parametrize("form", ["#vault fingerprint {}", "# Vault fingerprint:  {}\r"])
def test_a_fingerprint_written_by_hand_is_compared_too(on_local: Lost, form: str) -> None:
    on_local.scene.put("plan", body=b"at dawn")
    line = form.format(on_local.scene.keyrings.fingerprint().upper())
    text = f"{line}\n{on_local.scene.identity}\n"
    (on_local.person.folder / "identity.txt").write_text(text, newline="")
    ended, found = on_local.recover()
    assert (ended.code, ended.errors, set(found)) == (0, "", {("plan",)})
    assert ", as noted" in ended.output
