"""docs/vault-format.md says all that a reader needs: one written from it opens the golden vault."""

from __future__ import annotations

import ast
import inspect
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from bridge.crypto import labels
from tests.crypto import reader
from tests.crypto.golden_vault import TENANT, content, load, load_object

VAULT = load()
STORED: dict[str, dict[str, str]] = VAULT["objects"]
OBJECTS = {key: (found.get("r", ""), load_object(found)) for key, found in STORED.items()}
DOCUMENT = Path(__file__).parents[2] / "docs" / "vault-format.md"


@pytest.fixture(scope="module")
def vault() -> reader.Vault:
    recovery = OBJECTS[f"{TENANT}/recovery/2.age"][1]
    return reader.Vault(OBJECTS, TENANT, recovery, VAULT["identity"])


def keyring(number: int) -> dict[int, Any]:
    data = OBJECTS[f".bridge/{TENANT}/keyring/{number}"][1]
    return reader.keyring_open(data, b64decode(VAULT["kek"]), TENANT)


def test_the_reader_imports_nothing_of_the_bridge_and_stays_short() -> None:
    source = inspect.getsource(reader)
    for node in ast.walk(ast.parse(source)):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not any(name.partition(".")[0] in ("bridge", "tests") for name in names)
    assert len(source.splitlines()) <= 200


def test_the_recovery_identity_gives_the_whole_tree(vault: reader.Vault) -> None:
    assert vault.root.hex() == VAULT["root_directory_id"]
    found = {entry.path: entry for entry in vault.entries(vault.root)}
    assert len(found) == len(VAULT["entries"])
    for golden in VAULT["entries"]:
        entry = found[tuple(golden["path"])]
        expected = golden["record"]
        assert ("FILE", "DIRECTORY")[entry.record[0]] == expected["kind"]
        assert entry.record[1].hex() == expected["object_id"]
        assert entry.record.get(3, 0) / 10**9 == expected["mtime"]
        assert entry.record.get(4, 0) / 10**9 == expected["created"]
        assert entry.record.get(5, "") == expected["etag"]
        assert entry.properties == golden["properties"]
        if entry.record[0] == 0:
            assert entry.content == content(expected["size"])


def test_every_field_of_a_record_has_the_documented_number(vault: reader.Vault) -> None:
    (golden,) = VAULT["records"]
    found = vault.unseal(b"record", reader.unb64(golden["sealed"]))
    expected = golden["record"]
    assert found == {
        0: 0,
        1: bytes.fromhex(expected["object_id"]),
        2: expected["size"],
        3: int(expected["mtime"]) * 10**9,
        4: int(expected["created"]) * 10**9,
        5: expected["etag"],
        6: expected["content_type"],
        7: bytes.fromhex(expected["file_key"]),
        8: bytes.fromhex(expected["payload_nonce"]),
        9: expected["shown_name"],
        10: expected["properties"],
        11: [bytes.fromhex(expected["spill"][part]) for part in ("key_id", "digest")],
        12: bytes.fromhex(expected["body"]),
        13: {name: bytes.fromhex(digest) for name, digest in expected["checksums"].items()},
    }


def test_the_keyrings_open_with_the_key_encryption_key() -> None:
    first, second = keyring(1), keyring(2)
    assert (first[0], first[1], second[0]) == (1, b"", 2)
    assert first[2] == second[2]
    assert first[3].items() < second[3].items()
    assert second[4] in second[3]
    assert second[5].startswith("age1")
    root = reader.derive(second[2], b"storj-bridge/v1/root-directory", 16)
    assert root.hex() == VAULT["root_directory_id"]


def test_the_keyring_gives_what_the_recovery_file_has(vault: reader.Vault) -> None:
    found = keyring(2)
    assert vault.name_key == reader.derive(found[2], b"storj-bridge/v1/name-key", 64)
    assert vault.meta_keys == {
        kid: reader.derive(trk, b"storj-bridge/v1/meta-key") for kid, trk in found[3].items()
    }


def test_bodies_open_by_either_of_their_stanzas() -> None:
    by_trk = reader.with_trks(TENANT, keyring(2)[3])
    by_identity = reader.with_identity(VAULT["identity"])
    bodies = [entry for entry in VAULT["entries"] if entry["record"]["kind"] == "FILE"]
    assert bodies
    for entry in bodies:
        apart = bytes.fromhex(entry["record"]["body"])
        data = OBJECTS[f"{TENANT}/o/{reader.b64(apart)}" if apart else entry["key"]][1]
        plain = content(entry["record"]["size"])
        assert reader.age_open(data, by_trk) == plain
        assert reader.age_open(data, by_identity) == plain


def test_a_copy_s_intent_opens(vault: reader.Vault) -> None:
    golden = VAULT["intent"]
    copy = bytes.fromhex(golden["copy"])
    found = vault.unseal(b"intent", OBJECTS[f"{TENANT}/c/{reader.b64(copy)}"][1])
    assert (found[0], found[1] / 10**9) == (copy, golden["renewed"])


def test_the_document_names_every_label() -> None:
    document = DOCUMENT.read_text("utf-8")
    named = set(re.findall(r"storj-bridge/[a-z0-9/-]+", document))
    assert named == {value.decode() for name, value in vars(labels).items() if name.isupper()}
