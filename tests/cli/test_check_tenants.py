"""``check`` and ``/readyz`` where tenants are rows of the database, and the settings name none."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import check_tenants, main
from bridge.state.schema import VERSION
from bridge.tenants.job_rows import CLAIMED
from bridge.tenants.keks import new_kek
from tests.cli.service import Configured, ask, wait_until
from tests.processes import BridgeProcess

DECLARED = '[tenant]\nid = "main"                   # the user name to sign in with, too\n'


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """No tenant is declared, and the one that init made is gone with its database."""
    made = Configured(tmp_path / "bridge")
    text = made.file.read_text()
    assert DECLARED in text
    made.file.write_text(text.replace(DECLARED, "").replace('secret_file = "secret"\n', ""))
    lose_database(made)
    shutil.rmtree(made.folder / "store" / "objects")
    (made.folder / "store" / "objects").mkdir()
    return made


def lose_database(configured: Configured) -> None:
    for file in configured.folder.glob("state.db*"):
        file.unlink()


def run(configured: Configured, name: str, *words: str) -> Result:
    arguments = [*name.split(), "--config", str(configured.file), *words]
    return CliRunner().invoke(main, arguments)


def told(configured: Configured, name: str, *words: str) -> dict[str, Any]:
    done = run(configured, name, *words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def verdicts(configured: Configured, *words: str) -> tuple[int, dict[str, tuple[bool, str]]]:
    done = run(configured, "check", *words, "--json")
    found = json.loads(done.stdout)
    assert found["ok"] == (done.exit_code == 0)
    assert len({each["name"] for each in found["checks"]}) == len(found["checks"])
    return done.exit_code, {each["name"]: (each["ok"], each["words"]) for each in found["checks"]}


def ready(process: BridgeProcess) -> tuple[int, dict[str, str]]:
    root = str(process.ready["webdav_url"]).removesuffix("/dav/")
    code, _, body = ask(f"{root}/readyz")
    return code, json.loads(body)["checks"]


def database(configured: Configured, *statements: str) -> None:
    connection = sqlite3.connect(configured.folder / "state.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_each_tenant_has_a_line(configured: Configured) -> None:
    code, found = verdicts(configured)
    assert code == 0
    assert list(found) == ["configuration", "keys", "store", "database"]
    assert not (configured.folder / "state.db").exists()
    for name in ("zeta", "acme"):
        told(configured, "tenant create", name)
    told(configured, "tenant suspend", "zeta")
    code, found = verdicts(configured)
    assert code == 0
    assert list(found)[3:] == ["database", "tenant acme", "tenant zeta"]
    assert found["tenant acme"] == (True, "its store answers, its keyring opens")
    assert "suspended" in found["tenant zeta"][1]
    told(configured, "tenant delete", "acme", "--yes")
    told(configured, "tenant delete", "zeta", "--yes")
    code, found = verdicts(configured)
    assert (code, found["tenants"][0]) == (0, True)
    assert "there is none yet" in found["tenants"][1]


LOST = "the store holds 2 tenants the database does not know: storj-bridge recover (acme, zeta)"


def test_a_lost_database_is_told_by_the_tenants_in_the_store(configured: Configured) -> None:
    for name in ("zeta", "acme", "kept"):
        told(configured, "tenant create", name)
    told(configured, "tenant delete", "kept", "--yes")  # its files stay, and nobody misses it
    assert verdicts(configured)[0] == 0
    lose_database(configured)
    for made in (False, True):  # before and after the service has made another
        code, found = verdicts(configured)
        assert (configured.folder / "state.db").exists() == made
        assert (code, found["tenants"]) == (1, (False, LOST))
        with configured.service() as process:
            assert LOST in process.log_text()
    told(configured, "recover")
    assert verdicts(configured)[0] == 0
    with configured.service() as process:
        assert process.log_text().count(LOST) == 2  # not at this start


def test_the_declared_tenant_is_none_that_is_missed(tmp_path: Path) -> None:
    made = Configured(tmp_path / "declared")
    lose_database(made)
    assert verdicts(made)[0] == 0
    assert "tokens and usage do not" in made.file.read_text().replace("\n# ", " ")


def test_one_tenants_trouble_is_told_as_its_own(configured: Configured) -> None:
    for name in ("acme", "zeta", "made", "gone"):
        told(configured, "tenant create", name)
    stored = (configured.folder / "store").rglob("*keyring*")
    (keyring,) = (path for path in stored if "zeta" in str(path.parent))
    shutil.rmtree(keyring)
    database(
        configured,
        "UPDATE tenants SET status = 'being made' WHERE id = 'made'",
        "UPDATE tenants SET sealed_keyring = x'00' WHERE id = 'gone'",
    )
    code, found = verdicts(configured)
    assert code == 1
    assert found["tenant acme"][0]
    assert "keyring 1 of tenant zeta is gone" in found["tenant zeta"][1]
    assert "back from a backup" in found["tenant zeta"][1]
    assert (found["tenant made"][0], "run again" in found["tenant made"][1]) == (True, True)
    assert "storj-bridge recover" in found["tenant gone"][1]
    assert {name for name, (ok, _) in found.items() if not ok} == {"tenant zeta", "tenant gone"}
    code, found = verdicts(configured, "--tenant", "acme")
    assert (code, list(found)[4:]) == (0, ["tenant acme"])
    assert verdicts(configured, "--tenant", "zeta")[0] == 1
    assert run(configured, "check", "--tenant", "nobody").exit_code == 6


def test_who_stands_half_made_or_half_deleted_for_long_is_told(configured: Configured) -> None:
    for name in ("made", "new", "lost", "late", "failed", "done"):
        told(configured, "tenant create", name)
    deleting = "UPDATE tenants SET status = 'being deleted' WHERE id IN ('lost', 'late', 'failed')"
    job = "INSERT INTO jobs VALUES ('{0}', 'delete', '{0}', x'00', {1}, {2}, '{3}')"
    now = time.time()
    database(
        configured,
        "UPDATE tenants SET status = 'being made' WHERE id IN ('made', 'new')",
        "UPDATE tenants SET created = created - 700 WHERE id = 'made'",
        deleting,
        "UPDATE tenants SET status = 'being deleted' WHERE id = 'done'",
        job.format("late", now - 700, 0, CLAIMED),
        job.format("failed", now + 300, 9, "the store did not answer"),
        job.format("done", now + 60, 0, CLAIMED),
    )
    code, found = verdicts(configured)
    words = {name.removeprefix("tenant "): said for name, said in found.items()}
    assert code == 1
    assert {name for name, (ok, _) in words.items() if not ok} == {"made", "lost", "late", "failed"}
    assert "run storj-bridge tenant create made" in words["made"][1]
    for name, why in (
        ("lost", "nothing is left that would end it"),
        ("late", "no service has gone on with it"),
        ("failed", "has failed 9 times (the store did not answer)"),
    ):
        assert f"{why}: run storj-bridge tenant delete {name}" in words[name][1]


def test_a_wrong_key_is_told_with_the_id_of_the_right_one(configured: Configured) -> None:
    kek = configured.folder / "kek"
    old = kek.read_text().strip()
    told(configured, "tenant create", "acme")
    right = verdicts(configured)[1]["keys"][1].split()[1]
    kek.write_text(f"{new_kek()}\n")
    code, found = verdicts(configured)
    assert (code, found["tenants"][0]) == (1, False)
    assert f"sealed under the KEK with id {right}, which is not configured" in found["tenants"][1]
    assert "put that key back" in found["tenants"][1]
    # Of two tenants one is under the new key, as after a rotation that broke off.
    kek.write_text(f"{new_kek()}\n{old}\n")
    told(configured, "tenant create", "zeta")
    kek.write_text(kek.read_text().partition("\n")[0] + "\n")
    code, found = verdicts(configured)
    assert code == 1
    assert found["tenant zeta"][0]
    assert right in found["tenant acme"][1]
    assert "put that key back into the key file, below the first" in found["tenant acme"][1]


def test_what_is_needed_for_all_is_told_once(configured: Configured) -> None:
    told(configured, "tenant create", "acme")
    (configured.folder / "store").rename(configured.folder / "elsewhere")
    code, found = verdicts(configured)
    assert code == 1
    assert "does not exist" in found["store"][1]
    assert found["tenants"] == (False, "not looked at, for want of store")
    assert "tenant acme" not in found


def test_those_that_are_not_reached_in_time_are_told_as_such(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        told(configured, "tenant create", f"t{number}")
    monkeypatch.setattr(check_tenants, "AT_ONCE", 1)
    monkeypatch.setattr(check_tenants, "ALL_SECONDS", 0.0)
    code, found = verdicts(configured)
    assert code == 1
    assert "were not looked at" in found["tenants"][1]
    assert "--tenant" in found["tenants"][1]


def test_a_service_under_which_the_database_was_upgraded_is_not_ready(
    configured: Configured,
) -> None:
    with configured.service() as process:
        assert ready(process)[0] == 200
        database(configured, f"UPDATE meta SET value = '{VERSION + 1}' WHERE key = 'version'")
        assert wait_until(lambda: ready(process)[0] == 503)
        assert "stop this process, and start that version" in ready(process)[1]["state"]


def test_who_names_no_tenant_is_told_how(configured: Configured) -> None:
    for name, words in (("fsck", ()), ("export", (str(configured.folder / "target"),))):
        refused = run(configured, name, *words)
        assert refused.exit_code == 3
        assert "--tenant" in refused.stderr


def test_without_tenants_a_service_is_ready_and_its_store_is_asked(configured: Configured) -> None:
    with configured.service() as process:
        assert ready(process) == (200, {"store": "ok", "state": "ok", "keys": "ok"})
        (configured.folder / "store").rename(configured.folder / "elsewhere")
        assert wait_until(lambda: ready(process)[0] == 503)
        assert ready(process)[1]["store"] != "ok"
        assert run(configured, "check").exit_code == 1


def test_a_service_whose_key_opens_nothing_any_more_is_not_ready(configured: Configured) -> None:
    told(configured, "tenant create", "acme")
    kek = configured.folder / "kek"
    with configured.service() as process:
        assert ready(process)[0] == 200
        kek.write_text(f"{new_kek()}\n{kek.read_text()}")
        found = told(configured, "keys rotate-kek")
        assert wait_until(lambda: ready(process)[0] == 503)
        verdict = ready(process)[1]["keys"]
        assert f"sealed under the KEK with id {found['key_id']}" in verdict
        assert found["key_id"] in process.log_text()
