"""``storj-bridge demo``."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.service import ask, authorization, begin_upload, wait_until
from tests.processes import BridgeProcess, Demo, bridge_command, clean_environment, run_bridge


@pytest.fixture
def own(tmp_path: Path) -> Demo:
    return Demo(tmp_path / "data")


def signed_in(demo: Demo) -> dict[str, str]:
    return authorization(demo.username, demo.password)


def test_the_first_line_comes_when_requests_are_accepted(own: Demo) -> None:
    with own:
        assert {"webdav_url", "username", "password"} <= own.ready.keys()
        status, _, body = ask(own.url, "PROPFIND", signed_in(own) | {"Depth": "0"})
    assert status == 207
    assert b"<" in body


def test_nobody_gets_in_without_the_password(demo: Demo) -> None:
    for headers in ({}, authorization("demo", "guess"), authorization("nobody", demo.password)):
        status, answered, _ = ask(demo.url, "PROPFIND", headers)
        assert status == 401
        assert answered["www-authenticate"].startswith("Basic ")


def test_started_again_it_has_the_same_files_credentials_and_keys(own: Demo) -> None:
    with own:
        first = dict(own.ready)
        assert ask(f"{own.url}kept.txt", "PUT", signed_in(own), b"kept")[0] == 201
        own.restart()
        assert (own.username, own.password) == (first["username"], first["password"])
        assert ask(f"{own.url}kept.txt", headers=signed_in(own))[2] == b"kept"
        own.restart(kill=True)
        assert ask(f"{own.url}kept.txt", headers=signed_in(own))[2] == b"kept"


def test_the_recovery_identity_is_shown_once(own: Demo) -> None:
    with own:
        assert own.ready["recovery_identity"].startswith("AGE-SECRET-KEY-1")
        assert re.fullmatch("[0-9a-f]{32}", own.ready["fingerprint"])
        own.restart()
        assert not own.ready.keys() & {"recovery_identity", "fingerprint"}


def test_what_lies_on_the_disk_is_for_the_owners_eyes_only(own: Demo) -> None:
    with own:
        ask(f"{own.url}secret-plan.txt", "PUT", signed_in(own), b"attack at dawn")
    assert own.data.stat().st_mode & 0o077 == 0
    files = [path for path in own.data.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path
        assert b"attack at dawn" not in path.read_bytes()
        assert "secret-plan" not in str(path)
        assert b"secret-plan" not in path.read_bytes()


def test_the_password_it_tells_is_the_one_that_holds(tmp_path: Path) -> None:
    with BridgeProcess(
        ["demo", "--json", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")],
        tmp_path / "demo.log",
        env={"STORJ_BRIDGE_TENANT__SECRET": "of the environment"},
    ) as process:
        told = process.ready
        headers = authorization(told["username"], told["password"])
        assert ask(told["webdav_url"], "PROPFIND", headers | {"Depth": "0"})[0] == 207


def test_a_port_in_use_is_told_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run_bridge("demo", "--listen", address, "--data", str(tmp_path / "data"))
    assert ended.returncode == 4
    assert f"cannot listen on {address}: another program already does" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("0.0.0.0:0", "without TLS everyone on the way could read"),
        ("127.0.0.1", "is not HOST:PORT"),
        ("127.0.0.1:99999", "is not a port"),
    ],
)
def test_an_address_that_will_not_do_is_explained(tmp_path: Path, listen: str, words: str) -> None:
    ended = run_bridge("demo", "--listen", listen, "--data", str(tmp_path / "data"))
    assert ended.returncode == 3
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = run_bridge("demo", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "file/data"))
    assert ended.returncode == 5
    assert "choose a folder with --data" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_damaged_key_is_explained_and_nothing_is_made_anew(own: Demo) -> None:
    with own:
        pass
    (own.data / "kek").write_text("no key\n")
    ended = run_bridge("demo", "--listen", "127.0.0.1:0", "--data", str(own.data), "--json")
    assert ended.returncode == 5
    assert "kek: line 1 is not a key" in ended.stdout
    (own.data / "kek").write_text("A" * 43 + "=\n")
    ended = run_bridge("demo", "--listen", "127.0.0.1:0", "--data", str(own.data))
    assert ended.returncode == 5
    assert "is sealed under the KEK with id" in ended.stderr


def test_without_json_it_says_how_to_mount_it_everywhere(tmp_path: Path) -> None:
    process = BridgeProcess(
        ["demo", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")],
        tmp_path / "log",
        env={"STORJ_BRIDGE_LOG__FORMAT": "json"},
        json_first=False,
    )
    with process:
        assert wait_until(lambda: "Ctrl-C" in process.output())
        text = process.output()
    for client in ("curl", "Nextcloud", "Finder", "Windows", "Cyberduck", "davfs2", "rclone"):
        assert f"\n{client} " in text
    assert "AGE-SECRET-KEY-1" in text


def test_logs_hold_no_secret_and_no_name(own: Demo) -> None:
    with own:
        headers = signed_in(own)
        name = f"{own.url}plaintext-name.txt"
        assert ask(name, "PUT", headers, b"x")[0] == 201
        assert ask(f"{own.url}plaintext-name.txt/below", "PUT", headers, b"x")[0] >= 400
        assert (
            ask(name, "MOVE", headers | {"Destination": f"{own.url}other-plaintext-name"})[0] == 201
        )
        assert ask(f"{own.url}plaintext-name%zz", headers=headers)[0] >= 400
        ask(own.url, "PROPFIND", authorization("demo", "wrong-password-here"))
        begin_upload(f"{own.url}plaintext-name.bin", headers, 1_000, b"x").close()
        identity = own.ready["recovery_identity"]
        assert wait_until(lambda: '"status": 499' in own.log_text() or "400" in own.log_text())
    text = own.log_text()
    assert text.count('"event": "request"') >= 5
    kek = (own.data / "kek").read_text().strip()
    for secret in ("plaintext-name", own.password, "wrong-password", identity, kek):
        assert secret not in text
    assert headers["Authorization"].split()[1] not in text


def test_debug_logs_show_names_but_no_secret(tmp_path: Path) -> None:
    own = Demo(tmp_path / "data", env={"STORJ_BRIDGE_LOG__LEVEL": "debug"})
    with own:
        ask(f"{own.url}shown-name.txt", "PUT", signed_in(own), b"x")
    assert "shown-name.txt" in own.log_text()
    assert own.password not in own.log_text()


def test_it_serves_on_though_nobody_reads_its_logs(tmp_path: Path) -> None:
    arguments = ["demo", "--json", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(
        bridge_command(*arguments),
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        parts = urlsplit(told["webdav_url"])
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        headers = authorization(told["username"], told["password"]) | {"User-Agent": "u" * 1_000}
        for _ in range(200):  # 200 KB of log lines, into a pipe of 64 KiB
            connection.request("HEAD", parts.path, headers=headers)
            assert connection.getresponse().read() == b""
        connection.close()
        process.terminate()
        assert process.wait(30) == 0
