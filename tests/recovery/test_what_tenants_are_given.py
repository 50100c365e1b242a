"""What a tenant on Storj is shown when it is made is all that a recovery asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.identity import identity_file
from bridge.tenants.keks import new_kek
from tests.cli.service import ask, authorization
from tests.network.client import Network
from tests.network.values import Project
from tests.processes import BridgeProcess, run_bridge
from tests.recovery.document import Person, commands

ON_STORJ = """\
[listen]
address = "127.0.0.1:0"
[store]
kind = "storj"
bucket = "{bucket}"
[state]
path = "state.db"
[keys]
kek_file = "kek"
"""


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("age")
def test_the_files_of_a_tenant_on_storj_come_back_with_what_it_was_given(
    tmp_path: Path, network: Network, storj_project: Project, uplink_cli: Path
) -> None:
    bucket = network.new_bucket_name()
    file = tmp_path / "bridge.toml"
    file.write_text(ON_STORJ.format(bucket=bucket))
    (tmp_path / "kek").write_text(new_kek())
    (tmp_path / "kek").chmod(0o600)
    root = tmp_path / "root.grant"
    root.write_text(storj_project.grant)

    def told(*words: str) -> dict[str, Any]:
        ended = run_bridge(*words, "--config", str(file), "--json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    made = told("tenant", "create", "acme", "--root-grant-file", str(root))
    client = told("credential", "create", "acme")
    headers = authorization(client["username"], client["secret"])
    arguments = ["serve", "--json", "--config", str(file)]
    with BridgeProcess(arguments, tmp_path / "service.log") as process:
        url = process.ready["webdav_url"]
        assert ask(f"{url}folder", "MKCOL", headers)[0] == 201
        assert ask(f"{url}folder/plan", "PUT", headers, b"at dawn")[0] == 201
    exported = told("export", "--tenant", "acme", str(tmp_path / "exported"))
    assert exported["complete"]
    assert (tmp_path / "exported" / "folder" / "plan").read_bytes() == b"at dawn"
    kept = identity_file(made["recovery_identity"], made["fingerprint"])
    person = Person(tmp_path / "person", kept, uplink_cli)
    (person.folder / "grant.txt").write_text(made["recovery_grant"])
    steps = "\n".join(commands("From Storj"))
    ended = person.run(steps, BUCKET=bucket, TENANT="acme")
    assert (ended.code, ended.errors) == (0, "")
    assert f"vault fingerprint {exported['fingerprint']}, as noted" in ended.output
    assert (person.folder / "recovered" / "folder" / "plan").read_bytes() == b"at dawn"
