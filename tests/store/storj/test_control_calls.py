"""The calls beneath grants: what is passed wrong, ended, shared by threads, given back."""

from __future__ import annotations

import ctypes
import gc
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from uplink_python.module_classes import Config, SharePrefix
from uplink_python.module_classes import Permission as TheirPermission
from uplink_python.uplink import Uplink

from bridge.store.storj import control
from bridge.store.storj.access import Access, EncryptionKey
from bridge.store.storj.facts import READ, Permission, Place
from bridge.store.storj.library import load
from bridge.store.storj.refusals import GrantError, NotAGrant
from tests.store.storj import grants
from tests.store.storj.grants import grant

pytestmark = pytest.mark.usefixtures("nothing_left")

_WHOLE = grant()
_NOW = 1_800_000_000


def test_null_and_handles_of_nothing_are_refused_by_every_function() -> None:
    load()
    zero = control.ConfigStruct()
    for handle in (0, 1 << 40):
        access = ctypes.pointer(control.AccessStruct(handle)) if handle else None
        project = ctypes.pointer(control.ProjectStruct(handle)) if handle else None
        key = ctypes.pointer(control.EncryptionKeyStruct(handle)) if handle else None
        calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = [
            (control.text, ("uplink_access_serialize", access)),
            (control.text, ("bridge_access_facts", access)),
            (control.Owned, ("uplink_access_share", access, control.PermissionStruct(), None, 0)),
            (control.Owned, ("uplink_config_open_project", zero, access)),
            (control.do, ("uplink_access_override_encryption_key", access, b"b", b"p/", key)),
            (control.do, ("uplink_revoke_access", project, access)),
            (control.bucket, ("uplink_stat_bucket", project, b"b")),
            (control.bucket, ("uplink_create_bucket", project, None)),
            (control.bucket, ("uplink_delete_bucket_with_objects", project, b"b")),
        ]
        for call, arguments in calls:
            with pytest.raises(control.Failed, match="invalid handle") as raised:
                call(*arguments)
            assert raised.value.code == 0x04


def test_a_project_is_not_an_access() -> None:
    access = Access.parse(_WHOLE)
    with access.open("test") as project:
        forged = ctypes.pointer(control.AccessStruct(project._owned.pointer.contents._handle))
        with pytest.raises(control.Failed, match="invalid handle: access"):
            control.text("uplink_access_serialize", forged)


@contextmanager
def _listening(*, answers: bool) -> Iterator[str]:
    """The address of a port where nobody answers, or nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{grants.SATELLITE_ID}@127.0.0.1:{server.getsockname()[1]}"
        if not answers:
            server.close()
        yield address


def test_a_satellite_that_is_down_is_told() -> None:
    with (
        _listening(answers=False) as address,
        Access.parse(grant(satellite=address)).open("test") as project,
        pytest.raises(GrantError, match="the satellite cannot be reached") as raised,
    ):
        project.list_buckets()
    assert raised.value.code == 0x101


def test_closing_a_project_ends_what_waits_in_it() -> None:
    failures: list[GrantError] = []

    def wait() -> None:
        try:
            project.stat_bucket("photos")
        except GrantError as error:
            failures.append(error)

    with _listening(answers=True) as address:
        project = Access.parse(grant(satellite=address)).open("test")
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        project.close()
        waiting.join(20)
        assert not waiting.is_alive()
    assert [error.code for error in failures] == [0x03]
    with pytest.raises(GrantError, match="the project is closed"):
        project.create_bucket("photos")
    project.close()


def test_many_threads_use_one_grant() -> None:
    access = Access.parse(_WHOLE)
    key = EncryptionKey("p", b"")
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                name = f"t{number}-{turn}/"
                shared = access.share(READ, [Place("photos", name)])
                assert Access.parse(shared.serialize()).facts.places == (Place("photos", name),)
                access.override_encryption_key("others", name, key)
                access.serialize()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _resident() -> int:
    """Bytes of memory the process has."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def _rounds(count: int) -> None:
    for _ in range(count):
        access = Access.parse(_WHOLE)
        shared = access.share(READ, [Place("photos", "vault/")], not_after=_NOW)
        shared.serialize()
        with suppress(NotAGrant):
            Access.parse("garbage")
        with suppress(GrantError):
            access.share(Permission(), None)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_20_000_rounds_leave_memory_where_it_was() -> None:
    _rounds(3_000)  # the heaps of both runtimes take their size
    before, handles = _resident(), control.handles()
    _rounds(20_000)
    gc.collect()
    assert control.handles() == handles
    assert _resident() - before < 4 << 20


def test_uplink_python_works_on_the_library() -> None:
    load()
    uplink = Uplink()
    access = uplink.parse_access(_WHOLE)
    assert access.serialize() == _WHOLE
    shared = access.share(
        TheirPermission(allow_list=True, not_after=_NOW), [SharePrefix("photos", "vault/")]
    )
    facts = Access.parse(shared.serialize()).facts
    assert facts.permission == Permission(list=True)
    assert facts.places == (Place("photos", "vault/"),)
    assert facts.not_after == _NOW
    project = access.config_open_project(Config(user_agent="test"))
    project.close()
    for result, member, pointer in (
        (control.AccessResult, "access", access.access),
        (control.AccessResult, "access", shared.access),
        (control.ProjectResult, "project", project.project),
    ):
        taken = result()
        ctypes.memmove(ctypes.byref(taken), ctypes.byref(pointer), ctypes.sizeof(pointer))
        control._call(f"uplink_free_{member}_result", taken)
