"""What ``init`` shows and the store keeps is all that a recovery without the bridge asks for."""

from __future__ import annotations

from pathlib import Path

from bridge.cli.identity import identity_file
from tests.cli.service import Configured, ask, authorization
from tests.recovery.document import Person, commands
from tests.tools import require_tool


def test_the_files_of_a_service_come_back_without_it(tmp_path: Path) -> None:
    require_tool("age")
    configured = Configured(tmp_path / "bridge")
    with configured.service() as process:
        headers = authorization("main", configured.secret)
        assert ask(f"{process.ready['webdav_url']}plan", "PUT", headers, b"at dawn")[0] == 201
    kept = identity_file(configured.identity, configured.fingerprint)
    person = Person(tmp_path / "person", kept)
    tenant = configured.folder / "store" / "objects" / "main.d"
    (command,) = commands("From a local store")
    ended = person.run(command, **{"STORE/objects/TENANT.d": str(tenant)})
    assert (ended.code, ended.errors) == (0, "")
    assert f"vault fingerprint {configured.fingerprint}, as noted" in ended.output
    assert (person.folder / "recovered" / "plan").read_bytes() == b"at dawn"
    *_, by_hand = commands("One file by hand")
    (body,) = tenant.glob("d.d/**/*.o")
    opened = person.run(by_hand, **{"OBJECT.o": f'"{body}"'})
    assert opened.code == 0
    assert (person.folder / "FILE").read_bytes() == b"at dawn"
