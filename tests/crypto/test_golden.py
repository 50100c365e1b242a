"""The golden vault of format 1 opens, object by object, in this release."""

from __future__ import annotations

import hashlib
import json
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from bridge.crypto import age
from bridge.crypto.body import HEADER_SIZE, plain_size
from bridge.crypto.keyring import Kek, Keyring, newest
from bridge.crypto.names import normalize
from bridge.crypto.vault import VaultKeys
from bridge.files.layout import Layout
from bridge.tenants.vault import recovery_content
from tests.crypto.golden_vault import SIZES, TENANT, content, fields, load, load_object
from tests.tools import require_tool

VAULT = load()
OBJECTS: dict[str, dict[str, str]] = VAULT["objects"]
ENTRIES: list[dict[str, Any]] = VAULT["entries"]
LAYOUT = Layout(f"{TENANT}/")
KEK = Kek(b64decode(VAULT["kek"]))

each_entry = pytest.mark.parametrize(
    "entry", ENTRIES, ids=[ascii("/".join(entry["path"]))[1:40] for entry in ENTRIES]
)


def keyrings() -> dict[int, bytes]:
    folder = f".bridge/{TENANT}/keyring/"
    return {
        int(key.removeprefix(folder)): load_object(found)
        for key, found in OBJECTS.items()
        if key.startswith(folder)
    }


@pytest.fixture(scope="module")
def keys() -> VaultKeys:
    return VaultKeys(newest(keyrings(), [KEK], TENANT))


def directory_of(entry: dict[str, Any], keys: VaultKeys) -> bytes:
    parent = entry["path"][:-1]
    if not parent:
        return keys.root_directory_id
    return next(bytes.fromhex(e["record"]["object_id"]) for e in ENTRIES if e["path"] == parent)


def test_the_keyrings_open_and_follow_each_other(keys: VaultKeys) -> None:
    keyring = newest(keyrings(), [KEK], TENANT)
    assert keyring.number == 2
    assert len(keyring.trks) == 2
    assert keys.root_directory_id.hex() == VAULT["root_directory_id"]


@each_entry
def test_an_entry_lies_where_its_name_says(entry: dict[str, Any], keys: VaultKeys) -> None:
    directory = directory_of(entry, keys)
    for written in (entry["name"], entry["path"][-1]):
        assert LAYOUT.entry(directory, keys.names.seal(directory, written)) == entry["key"]
    name = keys.names.open(directory, entry["key"].rpartition("/")[2])
    assert name == entry["name"] == normalize(entry["path"][-1])


@each_entry
def test_an_entry_s_record_opens(entry: dict[str, Any], keys: VaultKeys) -> None:
    record = keys.open_record(OBJECTS[entry["key"]]["r"])
    assert fields(record) == entry["record"]


@each_entry
def test_an_entry_s_content_opens(entry: dict[str, Any], keys: VaultKeys) -> None:
    record = keys.open_record(OBJECTS[entry["key"]]["r"])
    if not record.file_key:
        assert entry["record"]["kind"] == "DIRECTORY"
        return
    stored = load_object(OBJECTS[LAYOUT.body(record.body) if record.body else entry["key"]])
    assert plain_size(len(stored) - HEADER_SIZE) == record.size
    opener = keys.body_opener(record.file_key, record.payload_nonce, record.size)
    assert opener.open(stored[HEADER_SIZE:], 0) == content(record.size)
    # And as fsck does for a lost record:
    assert keys.open_header(stored[:HEADER_SIZE]) == (record.file_key, record.payload_nonce)


def test_there_is_a_body_of_every_size_around_a_chunk_s_end() -> None:
    assert {entry["record"]["size"] for entry in ENTRIES} >= set(SIZES)


def test_a_record_with_every_field_opens(keys: VaultKeys) -> None:
    (golden,) = VAULT["records"]
    record = keys.open_record(golden["sealed"])
    assert fields(record) == golden["record"]
    assert all(value not in ({}, "", None) for value in golden["record"].values())


def test_spilled_properties_open(keys: VaultKeys) -> None:
    (entry,) = (entry for entry in ENTRIES if entry["record"]["spill"])
    record = keys.open_record(OBJECTS[entry["key"]]["r"])
    assert record.spill is not None
    stored = load_object(OBJECTS[LAYOUT.spill(record.spill.key_id)])
    assert hashlib.sha256(stored).digest() == record.spill.digest
    assert keys.open_spill(stored) == entry["properties"]


def test_a_removed_directory_s_entry_opens(keys: VaultKeys) -> None:
    key = LAYOUT.removed(bytes.fromhex(VAULT["removed"]["object_id"]))
    assert fields(keys.open_record(OBJECTS[key]["r"])) == VAULT["removed"]


def test_a_copy_s_intent_opens(keys: VaultKeys) -> None:
    golden = VAULT["intent"]
    stored = load_object(OBJECTS[LAYOUT.intent(bytes.fromhex(golden["copy"]))])
    assert keys.open_intent(stored) == (bytes.fromhex(golden["copy"]), golden["renewed"])


def test_what_was_sealed_under_the_first_key_opens_by_the_second_keyring_only_if_it_is_kept(
    keys: VaultKeys,
) -> None:
    first = Keyring.open(keyrings()[1], [KEK], TENANT)
    (entry,) = (entry for entry in ENTRIES if entry["path"][-1] == "old")
    sealed = OBJECTS[entry["key"]]["r"]
    assert VaultKeys(first).open_record(sealed) == keys.open_record(sealed)


@pytest.mark.parametrize("size", SIZES)
def test_age_itself_opens_a_body_with_the_recovery_identity(size: int, tmp_path: Path) -> None:
    (entry,) = (entry for entry in ENTRIES if entry["path"] == [f"{size} bytes"])
    assert _age(load_object(OBJECTS[entry["key"]]), tmp_path) == content(size)


def test_age_itself_opens_the_recovery_file(tmp_path: Path) -> None:
    plain = _age(load_object(OBJECTS[f"{TENANT}/recovery/2.age"]), tmp_path)
    assert json.loads(plain) == recovery_content(newest(keyrings(), [KEK], TENANT))


def test_age_itself_makes_the_recovery_recipient_of_the_identity(tmp_path: Path) -> None:
    keygen = require_tool("age-keygen")
    identity = tmp_path / "identity"
    identity.write_text(VAULT["identity"] + "\n")
    shown = subprocess.run([keygen, "-y", identity], capture_output=True, check=True).stdout
    assert shown.decode().strip() == newest(keyrings(), [KEK], TENANT).recipient
    assert age.Recipient(shown.decode().strip()).wrap(bytes(16)).kind == b"X25519"


def _age(sealed: bytes, folder: Path) -> bytes:
    identity = folder / "identity"
    identity.write_text(VAULT["identity"] + "\n")
    tool = require_tool("age")
    command = [tool, "--decrypt", "--identity", str(identity)]
    return subprocess.run(command, input=sealed, capture_output=True, check=True).stdout
