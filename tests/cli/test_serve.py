"""``storj-bridge serve``: the service from its start to its end."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.service import Configured, ask, authorization, begin_upload, wait_until
from tests.processes import BridgeProcess, run_bridge


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path / "bridge")


def server_root(process: BridgeProcess) -> str:
    return str(process.ready["webdav_url"]).removesuffix("/dav/")


def signed_in(configured: Configured) -> dict[str, str]:
    return authorization("main", configured.secret)


def ready(process: BridgeProcess) -> tuple[int, dict[str, str]]:
    status, _, body = ask(f"{server_root(process)}/readyz")
    return status, json.loads(body)["checks"]


def test_it_serves_what_init_made(configured: Configured) -> None:
    with configured.service() as process:
        url = process.ready["webdav_url"] + "a.txt"
        assert ask(url, "PUT", signed_in(configured), b"content")[0] == 201
        assert ask(url, headers=signed_in(configured))[2] == b"content"
        assert process.stop() == 0


def test_it_makes_no_vault_by_itself(configured: Configured) -> None:
    shutil.rmtree(configured.folder / "store")
    ended = run_bridge("serve", "--config", str(configured.file))
    assert ended.returncode == 5
    assert "make it with storj-bridge init" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_bad_settings_end_it_with_every_problem_in_words(configured: Configured) -> None:
    configured.file.write_text(
        configured.file.read_text() + "[limits]\nuplod_bytes = 3\nqueue = 0\n"
    )
    ended = run_bridge("serve", "--config", str(configured.file), "--json")
    assert ended.returncode == 3
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == 3
    assert "limits.uplod_bytes: unknown key (did you mean upload_bytes?)" in error["message"]
    assert "limits.queue: Input should be greater than 0" in error["message"]
    assert "Traceback" not in ended.stderr


def test_health_answers_without_sign_in_and_shadows_no_file(configured: Configured) -> None:
    with configured.service() as process:
        root = server_root(process)
        assert ask(f"{root}/healthz")[0] == 200
        assert ready(process) == (200, {"store": "ok", "state": "ok", "keys": "ok"})
        url = f"{process.ready['webdav_url']}healthz"
        assert ask(url, "PUT", signed_in(configured), b"a file")[0] == 201
        assert ask(url, headers=signed_in(configured))[2] == b"a file"
        assert ask(f"{root}/healthz", "DELETE")[0] == 405


def test_it_is_not_ready_when_the_stores_folder_has_gone(configured: Configured) -> None:
    with configured.service() as process:
        assert ready(process)[0] == 200
        (configured.folder / "store").rename(configured.folder / "elsewhere")
        assert wait_until(lambda: ready(process)[0] == 503)
        assert ready(process)[1]["store"] != "ok"
        assert ask(f"{server_root(process)}/healthz")[0] == 200
        (configured.folder / "elsewhere").rename(configured.folder / "store")
        assert wait_until(lambda: ready(process)[0] == 200)


def test_told_to_stop_it_lets_an_upload_end(configured: Configured) -> None:
    with configured.service() as process:
        url = process.ready["webdav_url"] + "slow.bin"
        with begin_upload(url, signed_in(configured), 10, b"12345") as connection:
            assert wait_until(lambda: uploads(process) == 1)
            process.signal(signal.SIGTERM)
            assert wait_until(lambda: "stopping" in process.log_text())
            connection.sendall(b"67890")
            assert connection.recv(100).startswith(b"HTTP/1.1 201")
        assert process.wait() == 0
        process.start()
        again = process.ready["webdav_url"] + "slow.bin"
        assert ask(again, headers=signed_in(configured))[2] == b"1234567890"


def test_told_to_stop_it_cuts_what_takes_too_long_and_keeps_the_old_file(tmp_path: Path) -> None:
    configured = Configured(tmp_path / "bridge", "[limits]\nstop_seconds = 1.0\n")
    with configured.service() as process:
        url = process.ready["webdav_url"] + "old.bin"
        assert ask(url, "PUT", signed_in(configured), b"old")[0] == 201
        with begin_upload(url, signed_in(configured), 10_000_000, b"new" * 1_000_000):
            assert wait_until(lambda: uploads(process) == 1)
            began = time.monotonic()
            assert process.stop() == 0
            assert time.monotonic() - began < 10
        process.start()
        again = process.ready["webdav_url"] + "old.bin"
        assert ask(again, headers=signed_in(configured))[2] == b"old"
        assert "Traceback" not in process.log_text()


def test_a_second_signal_ends_the_wait(configured: Configured) -> None:
    with configured.service() as process:
        url = process.ready["webdav_url"] + "slow.bin"
        with begin_upload(url, signed_in(configured), 10, b"12345"):
            assert wait_until(lambda: uploads(process) == 1)
            process.signal(signal.SIGTERM)
            assert wait_until(lambda: "stopping" in process.log_text())
            process.signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_told_to_stop_it_accepts_nobody_new_and_drops_idle_connections(
    configured: Configured,
) -> None:
    with configured.service() as process:
        host, port = process.ready["webdav_url"].split("/")[2].split(":")
        url = process.ready["webdav_url"] + "slow.bin"
        with (
            socket.create_connection((host, int(port)), timeout=20) as idle,
            begin_upload(url, signed_in(configured), 10, b"12345") as busy,
        ):
            assert wait_until(lambda: uploads(process) == 1)
            process.signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), timeout=20)
            busy.sendall(b"67890")
            assert busy.recv(100).startswith(b"HTTP/1.1 201")
        assert process.wait() == 0


def uploads(process: BridgeProcess) -> int:
    """How many PUTs are under way, as the metrics say."""
    text = ask(f"{server_root(process)}/metrics")[2].decode()
    line = next(line for line in text.splitlines() if line.startswith("storj_bridge_uploads "))
    return int(float(line.split()[1]))


def test_metrics_are_for_programs_of_this_machine(configured: Configured) -> None:
    with configured.service() as process:
        url = f"{server_root(process)}/metrics"
        ask(process.ready["webdav_url"], "PROPFIND", signed_in(configured) | {"Depth": "0"})
        status, headers, body = ask(url)
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b'storj_bridge_requests_total{door="webdav",method="PROPFIND",status="2xx"}' in body
        for header in ("X-Forwarded-For", "X-Real-IP"):
            assert ask(url, headers={header: "192.0.2.1"})[0] == 404


def test_behind_a_proxy_metrics_have_a_listener_of_their_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configured = Configured(
        tmp_path / "bridge",
        f'[metrics]\naddress = "127.0.0.1:{port}"\n',
        listen='trusted_proxies = "127.0.0.1"\n',
    )
    with configured.service() as process:
        assert ask(f"{server_root(process)}/metrics")[0] == 404
        assert b"storj_bridge_build_info" in ask(f"http://127.0.0.1:{port}/metrics")[2]
        assert ask(f"http://127.0.0.1:{port}/readyz")[0] == 200
        assert ask(f"http://127.0.0.1:{port}/dav/")[0] == 404


def test_one_upload_too_many_waits_and_is_then_told_to_come_again(tmp_path: Path) -> None:
    limits = "[limits]\nupload_bytes = 16_777_216\nqueue_seconds = 0.5\n"
    configured = Configured(tmp_path / "bridge", limits)
    large = bytes(2 << 20)  # of which one tenant may hold five, beside the short ones
    with configured.service() as process:
        url = process.ready["webdav_url"]
        with ExitStack() as uploading:
            for number in range(5):
                begun = begin_upload(f"{url}{number}", signed_in(configured), len(large), b"1")
                uploading.enter_context(begun)
            assert wait_until(lambda: uploads(process) == 5)
            status, headers, _ = ask(f"{url}late", "PUT", signed_in(configured), large)
            assert (status, headers["retry-after"]) == (503, "10")
            assert ask(f"{url}short", "PUT", signed_in(configured), b"2")[0] == 201
        assert wait_until(lambda: uploads(process) == 0)
        assert ask(f"{url}late", "PUT", signed_in(configured), large)[0] == 201


def client_addresses(process: BridgeProcess) -> list[str]:
    lines = [json.loads(line) for line in process.log_text().splitlines() if line[:1] == "{"]
    return [line["client"] for line in lines if line["event"] == "request"]


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", "127.0.0.1"),
        ('trusted_proxies = ["192.0.2.0/24"]\n', "127.0.0.1"),
        ('trusted_proxies = ["127.0.0.0/8"]\n', "198.51.100.7"),
    ],
)
def test_forwarded_headers_are_believed_from_configured_proxies_only(
    tmp_path: Path, listen: str, address: str
) -> None:
    configured = Configured(tmp_path / "bridge", listen=listen)
    with configured.service() as process:
        headers = signed_in(configured) | {"Depth": "0", "X-Forwarded-For": "198.51.100.7"}
        assert ask(process.ready["webdav_url"], "PROPFIND", headers)[0] == 207
    assert client_addresses(process) == [address]


@pytest.mark.parametrize("stripped", [True, False])
def test_a_public_url_with_a_path_holds_whether_the_proxy_strips_it_or_not(
    tmp_path: Path, *, stripped: bool
) -> None:
    configured = Configured(
        tmp_path / "bridge",
        listen='public_url = "https://files.example.com/storage"\n',
    )
    with configured.service() as process:
        assert process.ready["webdav_url"] == "https://files.example.com/storage/dav/"
        assert wait_until(lambda: "accepting" in process.log_text())
        port = listening_port(process.pid)
        prefix = "" if stripped else "/storage"
        url = f"http://127.0.0.1:{port}{prefix}/dav/"
        headers = signed_in(configured) | {"Host": "files.example.com"}
        assert ask(f"{url}a.txt", "PUT", headers, b"x")[0] == 201
        target = {"Destination": "https://files.example.com/storage/dav/b.txt"}
        assert ask(f"{url}a.txt", "MOVE", headers | target)[0] == 201
        body = ask(url, "PROPFIND", headers | {"Depth": "1"})[2].decode()
        assert "/storage/dav/b.txt<" in body
        assert ">/dav/" not in body


def listening_port(pid: int) -> int:
    """The port a process listens on, from the kernel's tables."""
    mine = {
        str(link.readlink())[8:-1]
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:[")
    }
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in mine:
            return int(fields[1].split(":")[1], 16)
    raise AssertionError("it does not listen")
