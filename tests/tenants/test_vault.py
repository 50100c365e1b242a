"""The making and opening of a vault."""

from __future__ import annotations

import hmac
import json
import subprocess
import threading
from pathlib import Path

import pytest

from bridge.crypto import age
from bridge.crypto.keyring import Kek, Keyring
from bridge.store.api import NotFound, ObjectStore
from bridge.store.local import LocalStore
from bridge.store.memory import MemoryStore
from bridge.tenants.vault import Keyrings, VaultError, fingerprint, recovery_content
from tests.tools import require_tool

KEK = Kek(bytes(range(32)))
OTHER = Kek(bytes(32))


def content(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as download:
        buffer = bytearray(download.info.size)
        assert download.readinto(memoryview(buffer)) == len(buffer)
    return bytes(buffer)


def put(store: ObjectStore, key: str, data: bytes) -> None:
    upload = store.put(key)
    upload.write(data)
    upload.commit({})


def test_a_vault_is_made_once_and_opens_to_the_same_keys() -> None:
    store = MemoryStore()
    made, identity = Keyrings(store, (KEK,), "t").open(create=True)
    opened, nothing = Keyrings(store, (KEK,), "t").open(create=True)
    assert identity is not None
    assert identity.startswith("AGE-SECRET-KEY-1")
    assert nothing is None
    assert opened.root_directory_id == made.root_directory_id


def test_no_vault_is_made_unasked() -> None:
    store = MemoryStore()
    with pytest.raises(VaultError, match="make it with storj-bridge init"):
        Keyrings(store, (KEK,), "t").open()
    assert list(store.list("", recursive=True)) == []


def test_processes_that_make_it_at_once_agree(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    start = threading.Barrier(8)
    found: list[tuple[bytes, str | None]] = []

    def make() -> None:
        start.wait()
        keys, identity = Keyrings(store, (KEK,), "t").open(create=True)
        found.append((keys.root_directory_id, identity))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({root for root, _ in found}) == 1
    assert len([identity for _, identity in found if identity is not None]) == 1


def test_the_recovery_file_comes_back_after_a_crash_before_it_was_written() -> None:
    store = MemoryStore()
    Keyrings(store, (KEK,), "t").open(create=True)
    store.delete("t/recovery/1.age")
    Keyrings(store, (KEK,), "t").open()
    assert store.stat("t/recovery/1.age").size > 0


def test_the_stock_age_tool_opens_the_recovery_file(tmp_path: Path) -> None:
    age_tool = require_tool("age")
    store = MemoryStore()
    keys, identity = Keyrings(store, (KEK,), "t").open(create=True)
    assert identity is not None
    (tmp_path / "identity").write_text(identity + "\n")
    opened = subprocess.run(
        [age_tool, "-d", "-i", tmp_path / "identity"],
        input=content(store, "t/recovery/1.age"),
        capture_output=True,
        check=True,
    )
    told = json.loads(opened.stdout)
    keyring = Keyring.open(content(store, ".bridge/t/keyring/1"), (KEK,), "t")
    assert told == recovery_content(keyring)
    assert told["root_directory_id"] == keys.root_directory_id.hex()
    assert len(bytes.fromhex(told["name_key"])) == 64
    assert [len(bytes.fromhex(key)) for key in told["meta_keys"].values()] == [32]


def test_a_fingerprint_is_the_vault_s_for_its_life_and_no_other_s() -> None:
    store = MemoryStore()
    vault = Keyrings(store, (KEK,), "t")
    vault.open(create=True)
    shown = vault.fingerprint()
    keyring, sealed = vault.newest()
    vault.publish(keyring.with_new_trk(sealed))
    keyring, sealed = vault.newest()
    vault.publish(keyring.without_retired(sealed))
    assert vault.fingerprint() == shown
    assert vault.newest()[0].number == 3
    other = Keyrings(MemoryStore(), (KEK,), "t")
    other.open(create=True)
    assert other.fingerprint() != shown


def test_a_planted_recovery_file_has_another_fingerprint(tmp_path: Path) -> None:
    """Though it is encrypted to the true recipient, and names the true root directory."""
    age_tool = require_tool("age")
    store = MemoryStore()
    vault = Keyrings(store, (KEK,), "t")
    _, identity = vault.open(create=True)
    assert identity is not None
    true, _ = vault.newest()
    own = recovery_content(Keyring.generate("t", true.recipient))
    own["root_directory_id"] = recovery_content(true)["root_directory_id"]
    planted = age.encrypt(age.Recipient(true.recipient), json.dumps(own).encode())
    put(store, "t/recovery/2.age", planted)
    (tmp_path / "identity").write_text(identity + "\n")

    def of(key: str) -> str:
        """As whoever recovers without the bridge finds it: HKDF-SHA256 (RFC 5869), by hand."""
        opened = subprocess.run(
            [age_tool, "-d", "-i", tmp_path / "identity"],
            input=content(store, key),
            capture_output=True,
            check=True,
        )
        name_key = bytes.fromhex(json.loads(opened.stdout)["name_key"])
        extracted = hmac.digest(b"", name_key, "sha256")
        return hmac.digest(extracted, b"storj-bridge/v1/fingerprint\1", "sha256")[:16].hex()

    assert of("t/recovery/1.age") == vault.fingerprint() == fingerprint(true)
    assert of("t/recovery/2.age") != vault.fingerprint()


def test_another_key_is_named_by_its_id() -> None:
    store = MemoryStore()
    Keyrings(store, (KEK,), "t").open(create=True)
    with pytest.raises(VaultError, match=KEK.id.hex()) as caught:
        Keyrings(store, (OTHER,), "t").open()
    assert OTHER.id.hex() in str(caught.value)


def test_an_older_key_opens_what_it_sealed() -> None:
    store = MemoryStore()
    Keyrings(store, (KEK,), "t").open(create=True)
    Keyrings(store, (OTHER, KEK), "t").open()
    with pytest.raises(NotFound):
        store.stat(".bridge/t/keyring/2")


def test_the_highest_keyring_that_opens_wins() -> None:
    store = MemoryStore()
    Keyrings(store, (KEK,), "t").open(create=True)
    first = content(store, ".bridge/t/keyring/1")
    second = Keyring.open(first, (KEK,), "t").with_new_trk(first)
    put(store, ".bridge/t/keyring/2", second.seal(KEK))
    put(store, ".bridge/t/keyring/07", b"not a number as we write them")
    keys, _ = Keyrings(store, (KEK,), "t").open()
    with_new = keys.new_body().header
    assert second.active not in Keyring.open(first, (KEK,), "t").trks
    assert keys.open_header(with_new)
    assert store.stat("t/recovery/2.age").size > 0


def test_a_keyring_put_there_by_somebody_else_is_noticed() -> None:
    store = MemoryStore()
    keyrings = Keyrings(store, (KEK,), "t")
    keyrings.open(create=True)
    put(store, ".bridge/t/keyring/1", b"SBKR\1" + KEK.id + bytes(100))
    with pytest.raises(VaultError):
        keyrings.check()


def test_anothers_keyring_does_not_open() -> None:
    store = MemoryStore()
    Keyrings(store, (KEK,), "a").open(create=True)
    put(store, ".bridge/b/keyring/1", content(store, ".bridge/a/keyring/1"))
    with pytest.raises(VaultError):
        Keyrings(store, (KEK,), "b").open()


def test_a_keyring_is_not_made_where_objects_of_a_lost_one_are() -> None:
    store = MemoryStore()
    put(store, "t/d/AAAA/name", b"")
    with pytest.raises(VaultError, match="they would be lost"):
        Keyrings(store, (KEK,), "t").open(create=True)
