"""The printed script opens the golden vault, keys that were replaced included."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.store.local import LocalStore
from tests.crypto.golden_vault import TENANT, content, load, load_object
from tests.recovery.document import Person, commands

VAULT = load()


@pytest.mark.usefixtures("age")
def test_the_golden_vault_comes_back(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    for key, found in VAULT["objects"].items():
        upload = store.put(key)
        upload.write(load_object(found))
        upload.commit({"r": found["r"]} if "r" in found else {})
    store.close()
    assert f"{TENANT}/recovery/2.age" in VAULT["objects"]  # that of the second keyring
    person = Person(tmp_path / "person", VAULT["identity"])
    (command,) = commands("From a local store")
    place = tmp_path / "store" / "objects" / f"{TENANT}.d"
    ended = person.run(command, **{"STORE/objects/TENANT.d": str(place)})
    assert (ended.code, ended.errors) == (0, "")
    target = person.folder / "recovered"
    for golden in VAULT["entries"]:
        path = target.joinpath(*golden["path"])
        record = golden["record"]
        assert path.is_dir() == (record["kind"] == "DIRECTORY")
        if path.is_file():
            assert path.read_bytes() == content(record["size"])
            assert path.stat().st_mtime == record["mtime"]
    assert len(list(target.rglob("*"))) == len(VAULT["entries"])
