"""The bridge on a real Storj network: ``demo``, ``init``, ``check`` and ``serve`` with a grant."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.store.storj.access import Access
from bridge.store.storj.facts import ALL, READ, Place
from bridge.tenants.keks import new_kek
from tests.cli.service import ask, authorization, wait_until
from tests.network.client import Network
from tests.network.values import Project
from tests.processes import BridgeProcess, Demo, run_bridge
from tests.store.storj.grants import SATELLITE_ID
from tests.store.storj.grants import grant as made_up

CONFIG = """\
[listen]
address = "127.0.0.1:0"
[store]
kind = "storj"
bucket = "{bucket}"
grant_file = "grant"
partner = "acme/1.0"
retry_seconds = 2
call_seconds = 5
[state]
path = "state.db"
[keys]
kek_file = "kek"
[tenant]
secret_file = "secret"
"""


class StorjDemo(Demo):
    """A demo with its files on Storj."""

    def __init__(self, folder: Path, grant: str) -> None:
        self.grant = folder / "grant"
        self.grant.write_text(grant + "\n")
        super().__init__(folder / "data")

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), "--storj-grant-file", str(self.grant)]


@dataclass
class Configured:
    """A configuration on Storj, and what the commands say of it."""

    folder: Path
    bucket: str

    def write(self, grant: str) -> None:
        (self.folder / "grant").write_text(grant)
        (self.folder / "grant").chmod(0o600)
        self.file.write_text(CONFIG.format(bucket=self.bucket))

    @property
    def file(self) -> Path:
        return self.folder / "bridge.toml"

    def check(self) -> dict[str, tuple[bool, str]]:
        told = json.loads(run_bridge("check", "--config", str(self.file), "--json").stdout)
        return {c["name"]: (c["ok"], c["words"]) for c in told["checks"]}


@pytest.fixture
def configured(network: Network, tmp_path: Path) -> Configured:
    return Configured(tmp_path, network.new_bucket_name())


def test_the_demo_keeps_its_files_on_storj_across_restarts(
    tmp_path: Path, storj_project: Project
) -> None:
    with StorjDemo(tmp_path, storj_project.grant) as demo:
        headers = authorization(demo.username, demo.password)
        content = b"seen by nobody but us " * 100_000
        assert ask(f"{demo.url}kept.txt", "PUT", headers, content)[0] == 201
        assert ask(f"{demo.url}folder", "MKCOL", headers)[0] == 201
        demo.restart()
        moved = headers | {"Destination": f"{demo.url}folder/moved.txt"}
        assert ask(f"{demo.url}kept.txt", "MOVE", moved)[0] == 201
        demo.restart(kill=True)
        assert ask(f"{demo.url}folder/moved.txt", headers=headers)[2] == content
        assert storj_project.grant not in demo.log_text()
    assert not (demo.data / "store").exists()


def test_a_service_on_storj_is_set_up_checked_and_served(
    network: Network, configured: Configured, storj_project: Project
) -> None:
    configured.write(storj_project.grant)
    made = json.loads(run_bridge("init", "--config", str(configured.file), "--json").stdout)
    assert made["vault_made"]
    found = configured.check()
    assert all(ok for ok, _ in found.values()), found
    _, words = found["grant"]
    assert network.satellite.partition("@")[2] in words
    assert "allows download, upload, list and delete" in words
    assert "does not expire" in words
    assert storj_project.grant not in json.dumps(found)
    arguments = ["serve", "--config", str(configured.file), "--json"]
    with BridgeProcess(arguments, configured.folder / "log") as process:
        headers = authorization("main", (configured.folder / "secret").read_text().strip())
        url = process.ready["webdav_url"]
        assert ask(f"{url}a.txt", "PUT", headers, b"a")[0] == 201
        assert ask(f"{url}a.txt", headers=headers)[2] == b"a"
    attributed = network.bucket(storj_project, configured.bucket)
    assert attributed.attribution.startswith("acme/1.0 storj-bridge/")
    assert f"credited to {attributed.attribution}" in found["store"][1]


def test_an_empty_bucket_of_anothers_is_the_partners_after_init(
    network: Network, configured: Configured, storj_project: Project
) -> None:
    configured.write(storj_project.grant)
    Access.parse(storj_project.grant).ensure_bucket(configured.bucket, "other/2.0")
    words = (
        "credited to other/2.0, not to acme/1.0: only an empty bucket can be given over, by init"
    )
    assert words in configured.check()["store"][1]
    assert run_bridge("init", "--config", str(configured.file)).returncode == 0
    attributed = network.bucket(storj_project, configured.bucket)
    assert attributed.objects > 0
    assert attributed.attribution.startswith("acme/1.0 storj-bridge/")
    assert "not to acme" not in configured.check()["store"][1]


def test_a_grant_for_the_tenants_folders_alone_will_do(
    configured: Configured, storj_project: Project
) -> None:
    whole = Access.parse(storj_project.grant)
    whole.ensure_bucket(configured.bucket, "acme/1.0")
    folders = [Place(configured.bucket, folder) for folder in ("main/", ".bridge/main/")]
    words = told(configured, whole.share(ALL, folders[:1]).serialize())
    assert f"does not reach folder .bridge/main/ of bucket {configured.bucket}" in words
    for name in ("kek", "secret"):
        (configured.folder / name).unlink()
    configured.write(whole.share(ALL, folders).serialize())
    assert run_bridge("init", "--config", str(configured.file)).returncode == 0
    found = configured.check()
    assert all(ok for ok, _ in found.values()), found


def test_calls_on_storj_are_logged_and_name_nothing(
    network: Network, configured: Configured, storj_project: Project
) -> None:
    configured.write(storj_project.grant)
    assert run_bridge("init", "--config", str(configured.file)).returncode == 0
    config = configured.file.read_text()
    headers = authorization("main", (configured.folder / "secret").read_text().strip())
    arguments = ["serve", "--config", str(configured.file), "--json"]
    lines: dict[str, list[dict[str, object]]] = {}
    for level in ("debug", "info"):
        configured.file.write_text(f'{config}[log]\nlevel = "{level}"\nformat = "json"\n')
        log = configured.folder / level
        with BridgeProcess(arguments, log) as process:
            url = process.ready["webdav_url"]
            assert ask(f"{url}{level}.txt", "PUT", headers, b"x" * 70_000)[0] == 201
            network.cut("satellite")
            assert ask(f"{url}{level}-2.txt", "PUT", headers, b"x")[0] == 503
            network.restore()
        lines[level] = [json.loads(line) for line in log.read_text().splitlines()]
        assert storj_project.grant not in log.read_text()
    calls = [line for line in lines["debug"] if line["event"] == "store call"]
    assert all("debug.txt" not in json.dumps(line) for line in calls)
    (commit,) = [c for c in calls if c["operation"] == "commit" and c["code"] == "ok"]
    assert str(commit["object"]).startswith("main/d/")
    assert int(str(commit["bytes"])) > 70_000
    assert any(line["code"] == "Unavailable" and "reason" in line for line in calls)
    failed = [line for line in lines["info"] if line["event"] == "a store call failed"]
    assert {line["code"] for line in failed} == {"Unavailable"}
    assert all(line["level"] == "warning" and "object" not in line for line in failed)
    assert failed
    assert "store call" not in {line["event"] for line in lines["info"]}


def test_fsck_counts_what_the_satellite_does(
    network: Network, configured: Configured, storj_project: Project
) -> None:
    configured.write(storj_project.grant)
    assert run_bridge("init", "--config", str(configured.file)).returncode == 0
    headers = authorization("main", (configured.folder / "secret").read_text().strip())
    arguments = ["serve", "--config", str(configured.file), "--json"]
    with BridgeProcess(arguments, configured.folder / "log") as process:
        url = process.ready["webdav_url"]
        for folder in ("", "gone/", "kept/", "kept/empty/"):
            assert not folder or ask(f"{url}{folder}", "MKCOL", headers)[0] == 201
            for size in (0, 3 << 10, 64 << 10):
                assert ask(f"{url}{folder}{size}", "PUT", headers, b"x" * size)[0] == 201
        assert ask(f"{url}large", "PUT", headers, b"x" * (70 << 20))[0] == 201
        for copy in ("copy", "replaced"):
            to = headers | {"Destination": f"{url}{copy}"}
            assert ask(f"{url}large", "COPY", to)[0] == 201
        assert ask(f"{url}replaced", "PUT", headers, b"short")[0] == 204
        to = headers | {"Destination": f"{url}kept/moved"}
        assert ask(f"{url}kept/{64 << 10}", "MOVE", to)[0] == 201
        assert ask(f"{url}{3 << 10}", "DELETE", headers)[0] == 204
        assert ask(f"{url}gone/", "DELETE", headers)[0] == 204
    checked = run_bridge("fsck", "--config", str(configured.file), "--json")
    assert checked.returncode == 0
    ours = json.loads(checked.stdout)
    counted = network.bucket(storj_project, configured.bucket)
    assert ours["storj"]["objects"] + ours["storj"]["uploads"] == counted.objects
    assert ours["storj"]["uploads"] == counted.pending
    assert ours["storj"]["segments"] == counted.segments
    assert ours["storj"]["stored_bytes"] == counted.bytes
    # Each file's ciphertext, a little longer than the file, is cut and padded by Storj's client.
    assert ours["bytes"] < ours["storj"]["bytes"] < ours["storj"]["stored_bytes"]
    words = run_bridge("fsck", "--config", str(configured.file)).stdout
    assert f"{counted.bytes} bytes as the satellite counts them" in words


def told(configured: Configured, grant: str) -> str:
    """What ``check`` says of a grant that will not do, and ``serve`` too."""
    configured.write(grant)
    ok, words = configured.check()["grant"]
    assert not ok
    assert grant not in words
    for name in ("kek", "secret"):
        (configured.folder / name).write_text("A" * 43 + "=")
    ended = run_bridge("serve", "--config", str(configured.file))
    assert ended.returncode == 5
    assert ended.stderr.startswith("storj-bridge: store: ")
    assert words.partition(" (")[0] in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not grant or grant not in ended.stderr
    return words


def test_what_is_no_grant_is_said_to_be_none(configured: Configured) -> None:
    assert "this is not an access grant" in told(configured, "not a grant at all")
    assert "mistyped or not complete" in told(configured, made_up()[:-5])


def test_a_grant_that_will_not_do_is_told_in_a_sentence(
    configured: Configured, storj_project: Project
) -> None:
    whole = Access.parse(storj_project.grant)
    here = [Place(configured.bucket)]
    reading = whole.share(READ, here)
    assert "does not allow upload and delete" in told(configured, reading.serialize())
    over = whole.share(ALL, here, not_after=time.time() - 60)
    assert "the access grant expired on 20" in told(configured, over.serialize())
    early = whole.share(ALL, here, not_before=time.time() + 3600)
    assert "is not valid before 20" in told(configured, early.serialize())
    elsewhere = whole.share(ALL, [Place("another-bucket")])
    words = told(configured, elsewhere.serialize())
    assert f"does not reach folder main/ of bucket {configured.bucket}" in words
    assert "it reaches bucket another-bucket" in words


def test_a_grant_of_another_satellite_is_told_by_the_stores_answer(
    network: Network, configured: Configured
) -> None:
    address = network.satellite.partition("@")[2]
    stranger = made_up(satellite=f"{SATELLITE_ID}@{address}")
    configured.write(stranger)
    ok, words = configured.check()["store"]
    assert not ok
    assert "satellite" in words


def test_tenants_alone_are_checked_and_make_a_service_ready(
    network: Network, configured: Configured, storj_project: Project
) -> None:
    configured.write(storj_project.grant)
    config = configured.file.read_text().replace('[tenant]\nsecret_file = "secret"\n', "")
    configured.file.write_text(config.replace('grant_file = "grant"\n', ""))
    (configured.folder / "kek").write_text(new_kek())
    arguments = ["serve", "--config", str(configured.file), "--json"]
    with BridgeProcess(arguments, configured.folder / "log") as process:

        def ready() -> tuple[int, str]:
            code, _, body = ask(f"{process.ready['webdav_url'].removesuffix('dav/')}readyz")
            return code, json.loads(body)["checks"]["store"]

        assert ready() == (200, "ok: no tenant has a store that could be asked yet")
        root = ["--root-grant-file", str(configured.folder / "grant")]
        config_option = ["--config", str(configured.file)]
        for name in ("acme", "zeta"):
            made = run_bridge("tenant", "create", *config_option, name, *root)
            assert made.returncode == 0, made.stderr
        whole = Access.parse(storj_project.grant)
        places = [Place(configured.bucket, folder) for folder in ("brief/", ".bridge/brief/")]
        brief = whole.share(ALL, places, not_after=time.time() + 15)
        (configured.folder / "own").write_text(brief.serialize())
        own = ["--own-grant-file", str(configured.folder / "own")]
        assert run_bridge("tenant", "create", *config_option, "brief", *own).returncode == 0
        assert wait_until(lambda: not configured.check()["tenant brief"][0])
        found = configured.check()
        assert "the access grant expired on 20" in found["tenant brief"][1]
        assert "storj-bridge tenant replace-grant" in found["tenant brief"][1]
        words = "its store answers, its keyring opens, its grant does not expire"
        assert found["tenant acme"] == found["tenant zeta"] == (True, words)
        assert wait_until(lambda: ready() == (200, "ok"))
        network.cut("satellite")
        assert wait_until(lambda: ready()[0] == 503)
        found = configured.check()
        assert not found["tenant acme"][0]
        assert "look whether the store can be reached from here" in found["tenant acme"][1]
        network.restore()
        assert wait_until(lambda: ready() == (200, "ok"))


def test_a_tenants_grant_is_replaced_while_its_files_are_served(
    configured: Configured, storj_project: Project
) -> None:
    configured.write(storj_project.grant)
    config = configured.file.read_text().replace('[tenant]\nsecret_file = "secret"\n', "")
    configured.file.write_text(config.replace('grant_file = "grant"\n', ""))
    (configured.folder / "kek").write_text(new_kek())
    whole = Access.parse(storj_project.grant)
    limited = whole.share(ALL, None, not_after=time.time() + 3600).serialize()
    (configured.folder / "limited").write_text(limited)

    def told(*words: str, code: int = 0) -> dict[str, object]:
        done = run_bridge(*words[:2], "--config", str(configured.file), *words[2:], "--json")
        assert done.returncode == code, done.stdout + done.stderr
        for secret in (limited, storj_project.grant):
            assert secret not in done.stdout + done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    made = told(
        *("tenant", "create", "acme", "--root-grant-file", str(configured.folder / "limited"))
    )
    secret = str(told("credential", "create", "acme")["secret"])
    headers = authorization("acme", secret)
    arguments = ["serve", "--config", str(configured.file), "--json"]
    with BridgeProcess(arguments, configured.folder / "log") as process:
        url = process.ready["webdav_url"]
        content = b"kept through it " * 10_000
        assert ask(f"{url}a", "PUT", headers, content)[0] == 201
        words = configured.check()["tenant acme"][1]
        assert "its grant valid until 20" in words
        assert "storj-bridge tenant replace-grant acme" in words
        refused = told("tenant", "replace-grant", "acme", code=7)
        assert "one of the two" in str(refused)
        root = ("--root-grant-file", str(configured.folder / "grant"))
        assert "nobody" in str(told("tenant", "replace-grant", "nobody", *root, code=6))
        replaced = told("tenant", "replace-grant", "acme", *root)
        assert (replaced["former_works"], replaced["left"]) == (False, [])
        assert replaced["recovery_grant"] not in ("", made["recovery_grant"])
        assert ask(f"{url}a", headers=headers)[2] == content
        assert ask(f"{url}b", "PUT", headers, content)[0] == 201
        assert "its grant does not expire" in configured.check()["tenant acme"][1]
    with BridgeProcess(arguments, configured.folder / "log") as process:
        assert ask(f"{process.ready['webdav_url']}b", headers=headers)[2] == content
    assert storj_project.grant not in (configured.folder / "log").read_text()
