"""``init``, ``check`` and ``fsck``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from tests.cli.service import Configured, ask, authorization
from tests.processes import run_bridge


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path / "bridge")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def verdicts(configured: Configured) -> tuple[int, dict[str, tuple[bool, str]]]:
    ended = run("check", "--config", configured.file, "--json")
    told = json.loads(ended.stdout)
    assert told["ok"] == (ended.exit_code == 0)
    return ended.exit_code, {c["name"]: (c["ok"], c["words"]) for c in told["checks"]}


def test_init_shows_the_recovery_identity_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "bridge" / "bridge.toml"
    first = json.loads(run("init", "--config", file, "--json").stdout)
    assert first["recovery_identity"].startswith("AGE-SECRET-KEY-1")
    assert first["vault_made"]
    kept = {path: path.read_bytes() for path in (tmp_path / "bridge").glob("[bks]*[tk]")}
    second = json.loads(run("init", "--config", file, "--json").stdout)
    assert not second["vault_made"]
    assert not second.keys() & {"recovery_identity", "fingerprint"}
    assert {path: path.read_bytes() for path in kept} == kept
    stored = b"".join(p.read_bytes() for p in (tmp_path / "bridge").rglob("*") if p.is_file())
    assert first["recovery_identity"].encode() not in stored


def test_init_shows_the_fingerprint_above_the_recovery_identity(tmp_path: Path) -> None:
    shown = run("init", "--config", tmp_path / "bridge.toml").stdout
    (mark,) = re.findall(
        r"^# vault fingerprint: ([0-9a-f]{32})\nAGE-SECRET-KEY-1\S+$", shown, re.MULTILINE
    )
    exported = run("export", "--config", tmp_path / "bridge.toml", tmp_path / "target", "--json")
    assert json.loads(exported.stdout)["fingerprint"] == mark


def test_what_init_writes_is_private_and_valid(configured: Configured) -> None:
    for name in ("bridge.toml", "kek", "secret", "state.db"):
        assert (configured.folder / name).stat().st_mode & 0o077 == 0
    code, found = verdicts(configured)
    assert code == 0
    assert list(found) == ["configuration", "secret", "keys", "store", "vault", "database"]


def test_init_refuses_a_new_keyring_where_files_are(configured: Configured) -> None:
    with configured.service() as process:
        headers = authorization("main", configured.secret)
        assert ask(process.ready["webdav_url"] + "a.txt", "PUT", headers, b"x")[0] == 201
    for found in (configured.folder / "store").rglob("*keyring*"):
        shutil.rmtree(found)
        break
    else:
        pytest.fail("the local store no longer keeps keys as paths")
    ended = run("init", "--config", configured.file)
    assert ended.exit_code == 5
    assert "with a new one they would be lost" in ended.output


def test_check_names_every_fault(configured: Configured) -> None:
    (configured.folder / "store").rename(configured.folder / "elsewhere")
    (configured.folder / "kek").write_text("bad\n")
    (configured.folder / "secret").unlink()
    (configured.folder / "state.db").write_bytes(b"no database" * 1_000)
    code, found = verdicts(configured)
    assert code == 1
    assert {name for name, (ok, _) in found.items() if not ok} == {
        "secret",
        "keys",
        "store",
        "vault",
        "database",
        "tenants",
    }
    assert "cannot be read: No such file" in found["secret"][1]
    assert "line 1 is not a key" in found["keys"][1]
    assert "does not exist" in found["store"][1]
    assert not (configured.folder / "store").exists()


@pytest.mark.parametrize("command", ["fsck", "serve"])
def test_a_missing_store_is_not_made_under_a_disk_that_is_not_mounted(
    configured: Configured, command: str
) -> None:
    (configured.folder / "store").rename(configured.folder / "elsewhere")
    ended = run_bridge(command, "--config", str(configured.file))
    assert ended.returncode == 5
    assert "does not exist" in ended.stderr
    assert not (configured.folder / "store").exists()


def test_init_makes_no_new_key_for_a_vault_that_is_sealed_under_another(
    configured: Configured,
) -> None:
    (configured.folder / "kek").rename(configured.folder / "copy")
    ended = run("init", "--config", configured.file)
    assert ended.exit_code == 5
    assert "put your copy back" in ended.output
    assert not (configured.folder / "kek").exists()


def test_check_says_when_another_key_is_configured(configured: Configured) -> None:
    (configured.folder / "kek").write_text("A" * 43 + "=\n")
    _, found = verdicts(configured)
    assert not found["vault"][0]
    assert "sealed under the KEK with id" in found["vault"][1]


def test_check_warns_of_secrets_that_others_can_read(configured: Configured) -> None:
    (configured.folder / "kek").chmod(0o644)
    code, found = verdicts(configured)
    assert code == 0
    assert "others can read" in found["keys"][1]


def test_check_says_what_is_wrong_with_the_settings(configured: Configured) -> None:
    configured.file.write_text("[lisn]\n")
    code, found = verdicts(configured)
    assert code == 1
    assert not found["configuration"][0]


def test_a_second_key_line_opens_what_was_sealed_before(configured: Configured) -> None:
    old = (configured.folder / "kek").read_text()
    (configured.folder / "kek").write_text("A" * 43 + "=  # new\n" + old)
    assert verdicts(configured)[0] == 0


def test_fsck_counts_what_is_there_and_finds_nothing_wrong(configured: Configured) -> None:
    with configured.service() as process:
        headers = authorization("main", configured.secret)
        assert ask(process.ready["webdav_url"] + "folder", "MKCOL", headers)[0] == 201
        assert ask(process.ready["webdav_url"] + "folder/a", "PUT", headers, b"12345")[0] == 201
        beside = run_bridge("fsck", "--config", str(configured.file), "--json")
    assert beside.returncode == 0, beside.stderr
    told = json.loads(beside.stdout)
    assert (told["clean"], told["files"], told["directories"], told["bytes"]) == (True, 1, 2, 5)


def test_fsck_finds_and_removes_what_a_crash_left(configured: Configured) -> None:
    from bridge.settings import load  # noqa: PLC0415
    from bridge.stores import open_store  # noqa: PLC0415

    store = open_store(load(configured.file))
    upload = store.put("main/o/AAAAAAAAAAAAAAAAAAAAAA")
    upload.write(b"nobody names this body")
    upload.commit({})
    store.close()
    assert run("fsck", "--config", configured.file).exit_code == 0  # too young to judge
    arguments = ("fsck", "--config", configured.file, "--min-age", 0, "--json")
    found = run(*arguments)
    assert found.exit_code == 1
    assert [p["finding"] for p in json.loads(found.stdout)["problems"]] == ["unreferenced_body"]
    repaired = run(*arguments, "--repair")
    assert repaired.exit_code == 0
    assert json.loads(repaired.stdout)["problems"][0]["repaired"] == "removed"
    assert json.loads(run(*arguments).stdout)["problems"] == []


@pytest.mark.parametrize("command", ["check", "fsck", "serve"])
def test_a_missing_configuration_is_told_in_words(tmp_path: Path, command: str) -> None:
    ended = run(command, "--config", tmp_path / "none.toml")
    assert ended.exit_code in {1, 3}
    assert "none.toml: cannot be read: No such file" in ended.output
