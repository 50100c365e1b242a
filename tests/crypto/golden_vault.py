"""The golden vault of format 1: objects made once, which every later release must open.

``python -m tests.crypto.golden_vault`` made ``golden/1``. It refuses to write over it: what is
there stays readable for ever, and a new format gets a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bridge.crypto import age
from bridge.crypto.keyring import Kek, Keyring
from bridge.crypto.names import normalize
from bridge.crypto.record import Kind, Record, SpillRef
from bridge.crypto.vault import VaultKeys
from bridge.files.layout import Layout
from bridge.tenants.vault import recovery_content

GOLDEN = Path(__file__).parent / "golden" / "1"
TENANT = "golden-tenant"
SIZES = (0, 1, 65_535, 65_536, 65_537, 131_073)

NAMES = (
    "readme.txt",
    ".hidden ; ? # % + 'quoted' \"too\" ",
    "G\u00e4rten",
    "Ga\u0308rten 2",  # NFD: shown so, found by its NFC
    "\U0001f33b",
    "\u1b05\u1b35 is not \u1b06",  # composed by Unicode 5, not by 3.2
    "\u212b is \u00c5",  # a singleton
    "n" * 255,
)


def content(size: int) -> bytes:
    """The plaintext of a golden body."""
    return hashlib.shake_256(b"storj-bridge golden vault").digest(size)


def load() -> dict[str, Any]:
    """What ``main`` has written."""
    found: dict[str, Any] = json.loads((GOLDEN / "vault.json").read_text("utf-8"))
    return found


def load_object(found: Mapping[str, str]) -> bytes:
    """An object's content: in the manifest, or in a file beside it."""
    if "file" in found:
        return (GOLDEN / found["file"]).read_bytes()
    return b64decode(found.get("content", ""))


def fields(record: Record) -> dict[str, Any]:
    """A record's fields as the manifest tells them: bytes in hex, times in nanoseconds too."""

    def plain(value: Any) -> Any:
        match value:
            case bytes():
                return value.hex()
            case dict():
                return {name: plain(each) for name, each in value.items()}
            case Kind():
                return value.name
        return value

    return {name: plain(value) for name, value in asdict(record).items()}


class _Maker:
    def __init__(self) -> None:
        self.kek_text = b64encode(os.urandom(32)).decode()
        kek = Kek(b64decode(self.kek_text))
        self.identity, recipient = age.generate_identity()
        first = Keyring.generate(TENANT, recipient)
        sealed_first = first.seal(kek)
        second = first.with_new_trk(sealed_first)
        self.keyrings = [sealed_first, second.seal(kek)]
        self.old, self.keys = VaultKeys(first), VaultKeys(second)
        plain = json.dumps(recovery_content(second)).encode()
        self.recovery = age.encrypt(age.Recipient(recipient), plain)
        self.layout = Layout(f"{TENANT}/")
        self.objects: dict[str, dict[str, str]] = {}
        self.entries: list[dict[str, Any]] = []

    def body(self, keys: VaultKeys, size: int) -> tuple[bytes, Record]:
        sealer = keys.new_body()
        sealed = sealer.header + bytes(sealer.update(content(size))) + sealer.finish()
        record = Record(
            Kind.FILE,
            os.urandom(16),
            size=size,
            mtime=1_732_180_000.123456,
            created=1_732_180_001.5,
            etag=os.urandom(16).hex() + "-1",
            file_key=sealer.file_key,
            payload_nonce=sealer.payload_nonce,
        )
        return sealed, record

    def link(
        self,
        keys: VaultKeys,
        folder: tuple[bytes, tuple[str, ...]],
        name: str,
        record: Record,
        *,
        stored: Mapping[str, str],
        properties: Mapping[str, str] | None = None,
    ) -> None:
        directory, path = folder
        if normalize(name) != name:
            record = replace(record, shown_name=name)
        key = self.layout.entry(directory, keys.names.seal(directory, name))
        self.objects[key] = {"r": keys.seal_record(record), **stored}
        self.entries.append(
            {
                "key": key,
                "path": [*path, name],
                "name": normalize(name),
                "properties": dict(record.properties if properties is None else properties),
                "record": fields(record),
            }
        )


def _in_line(sealed: bytes) -> dict[str, str]:
    return {"content": b64encode(sealed).decode()}


def main() -> None:
    """Make the golden vault, once."""
    (GOLDEN / "bodies").mkdir(parents=True)
    maker = _Maker()
    keys, layout = maker.keys, maker.layout
    root = (keys.root_directory_id, ())
    for size in SIZES:
        sealed, record = maker.body(keys, size)
        (GOLDEN / "bodies" / str(size)).write_bytes(sealed)
        maker.link(keys, root, f"{size} bytes", record, stored={"file": f"bodies/{size}"})

    folder = Record(Kind.DIRECTORY, os.urandom(16), mtime=-1.5, created=1_732_180_000.0)
    maker.link(keys, root, "Names", folder, stored={})
    for name in NAMES:
        sealed, record = maker.body(keys, 1)
        maker.link(keys, (folder.object_id, ("Names",)), name, record, stored=_in_line(sealed))

    old = Record(Kind.DIRECTORY, os.urandom(16), properties={"{urn:x}a": "<x/>"})
    maker.link(maker.old, root, "Under the first key", old, stored={})
    sealed, record = maker.body(maker.old, 1)
    where = (old.object_id, ("Under the first key",))
    maker.link(maker.old, where, "old", record, stored=_in_line(sealed))

    full = _every_field(maker)
    sealed, record = maker.body(keys, 1)
    spilled = {"{urn:example}long": "ä" * 3_000}
    spill = keys.seal_spill(spilled)
    reference = SpillRef(os.urandom(16), hashlib.sha256(spill).digest())
    maker.objects[layout.spill(reference.key_id)] = _in_line(spill)
    apart = replace(record, body=record.object_id, spill=reference)
    maker.objects[layout.body(apart.body)] = _in_line(sealed)
    maker.link(keys, root, "spilled and apart", apart, stored={}, properties=spilled)

    removed = replace(old, object_id=os.urandom(16))
    maker.objects[layout.removed(removed.object_id)] = {"r": keys.seal_record(removed)}
    copy, renewed = os.urandom(16), 1_732_180_000.25
    maker.objects[layout.intent(copy)] = _in_line(keys.seal_intent(copy, renewed))
    maker.objects[f"{layout.prefix}recovery/2.age"] = _in_line(maker.recovery)
    for number, keyring in enumerate(maker.keyrings, 1):
        maker.objects[f".bridge/{TENANT}/keyring/{number}"] = _in_line(keyring)

    manifest = {
        "tenant_id": TENANT,
        "kek": maker.kek_text,
        "identity": maker.identity,
        "root_directory_id": keys.root_directory_id.hex(),
        "objects": maker.objects,
        "entries": maker.entries,
        "records": [{"sealed": keys.seal_record(full), "record": fields(full)}],
        "removed": fields(removed),
        "intent": {"copy": copy.hex(), "renewed": renewed},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=True) + "\n"
    (GOLDEN / "vault.json").write_text(text, "utf-8")


def _every_field(maker: _Maker) -> Record:
    """A record with every field at once, which no entry has."""
    _, record = maker.body(maker.keys, 1)
    return replace(
        record,
        size=(1 << 63) - 1,
        mtime=253_402_300_799.0,
        created=-62_135_596_800.0,
        content_type="text/plain; charset=utf-8",
        shown_name="Ga\u0308rten",
        properties={"{DAV:}displayname": "ä", "{urn:x}b": "", "{urn:x}aa": "<y/>"},
        spill=SpillRef(os.urandom(16), os.urandom(32)),
        body=os.urandom(16),
        checksums={"md5": os.urandom(16), "sha256": os.urandom(32)},
    )


if __name__ == "__main__":
    main()
