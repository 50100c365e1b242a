"""A real Nextcloud with the demo mounted as stock WebDAV external storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from tests.clients.dav import Dav
from tests.clients.names import ODD_NAMES, content, sha256
from tests.nextcloud.conftest import FOLDER, MOUNT, Mounted
from tests.nextcloud.server import ADMIN

pytestmark = pytest.mark.timeout(300)

BLOCK = 10 << 20
"""Bytes of one chunk of a chunked upload, as Nextcloud's own clients send by default."""

USERS = 8

NOT_TAKEN_BY_NEXTCLOUD = frozenset({"trailing.txt ", "n" * 251 + ".txt", "...txt"})
"""Nextcloud refuses trailing spaces, names over 250 bytes, and a leading ``..``."""

CLOCK = 1_234_567_890
"""A modification time no upload of today could have by itself, in Unix seconds."""


def test_an_upload_keeps_its_modification_time(mounted: Mounted, place: str) -> None:
    data = content("upload", 300_000)
    put = mounted.files.put(f"{MOUNT}/{place}/file", data, {"X-OC-Mtime": str(CLOCK)})
    assert put.headers["x-oc-mtime"] == "accepted"
    head = mounted.dav.request("HEAD", f"{FOLDER}/{place}/file")
    assert parsedate_to_datetime(head.headers["last-modified"]).timestamp() == CLOCK
    assert modified(mounted.files, f"{MOUNT}/{place}/file") == CLOCK
    assert mounted.dav.get(f"{FOLDER}/{place}/file") == data
    assert mounted.dav.names(f"{FOLDER}/{place}") == ["file"]


def test_a_download_and_a_range_are_what_was_uploaded(mounted: Mounted, place: str) -> None:
    data = content("download", 3 << 20)
    path = f"{MOUNT}/{place}/file"
    mounted.files.put(path, data)
    assert mounted.files.get(path) == data
    part = mounted.files.request("GET", path, headers={"Range": "bytes=1048570-1048590"})
    assert (part.status, part.body) == (206, data[1048570:1048591])


def test_odd_names_pass_through_nextcloud(mounted: Mounted, place: str) -> None:
    names = [name for name in ODD_NAMES if name not in NOT_TAKEN_BY_NEXTCLOUD]
    for name in names:
        mounted.files.put(f"{MOUNT}/{place}/{name}", content(name))
        mounted.files.move(f"{MOUNT}/{place}/{name}", f"{MOUNT}/{place}/to {name}")
        assert mounted.files.get(f"{MOUNT}/{place}/to {name}") == content(name)
    stored = {f"to {name}": content(name) for name in names}
    assert len(mounted.dav.tree(f"{FOLDER}/{place}")) == len(stored)
    assert set(mounted.dav.tree(f"{FOLDER}/{place}").values()) == set(stored.values())


def test_an_overwritten_file_keeps_versions_that_can_be_restored(
    mounted: Mounted, place: str
) -> None:
    path = f"{MOUNT}/{place}/file.txt"
    texts = [f"version {number}\n".encode() for number in range(3)]
    for number, text in enumerate(texts):
        mounted.files.put(path, text, {"X-OC-Mtime": str(CLOCK + 100 * number)})
    assert mounted.dav.get(f"{FOLDER}/{place}/file.txt") == texts[2]
    dav = mounted.cloud.dav()
    versions = f"versions/{ADMIN}/versions/{file_id(mounted.files, path)}"
    # The list has the current content too, which cannot be read by this address.
    read = {name: dav.request("GET", f"{versions}/{name}") for name in dav.names(versions)}
    kept = {answer.body: name for name, answer in read.items() if answer.status == 200}
    assert {texts[0], texts[1]} <= set(kept)
    dav.move(f"{versions}/{kept[texts[0]]}", f"versions/{ADMIN}/restore/target")
    assert mounted.files.get(path) == texts[0]
    assert mounted.dav.get(f"{FOLDER}/{place}/file.txt") == texts[0]


def test_files_and_folders_are_renamed_and_moved_within_the_mount(
    mounted: Mounted, place: str
) -> None:
    here = f"{MOUNT}/{place}"
    mounted.files.mkcol(f"{here}/one")
    mounted.files.mkcol(f"{here}/two")
    mounted.files.put(f"{here}/one/file", b"content")
    mounted.files.move(f"{here}/one/file", f"{here}/one/renamed")
    mounted.files.move(f"{here}/one", f"{here}/two/moved")
    expected = {"two": None, "two/moved": None, "two/moved/renamed": b"content"}
    assert mounted.files.tree(here) == expected
    assert mounted.dav.tree(f"{FOLDER}/{place}") == expected


def test_files_and_folders_cross_the_edge_of_the_mount_both_ways(
    mounted: Mounted, place: str
) -> None:
    here, files = f"{MOUNT}/{place}", mounted.files
    files.mkcol("home")
    files.mkcol("home/sub")
    data = content("edge", 200_000)
    files.put("home/sub/file", data)
    files.put("home/alone", b"alone")
    files.move("home", f"{here}/came in")
    expected = {"alone": b"alone", "sub": None, "sub/file": data}
    assert mounted.dav.tree(f"{FOLDER}/{place}/came in") == expected
    assert not files.exists("home")
    files.move(f"{here}/came in/alone", "went out")
    files.move(f"{here}/came in", "went out too")
    assert files.get("went out") == b"alone"
    assert files.tree("went out too") == {"sub": None, "sub/file": data}
    assert mounted.dav.names(f"{FOLDER}/{place}") == []
    files.delete("went out")
    files.delete("went out too")


def test_a_deleted_folder_of_thirty_files_can_be_restored(mounted: Mounted, place: str) -> None:
    here, files = f"{MOUNT}/{place}", mounted.files
    expected = {f"file {number}": content(f"trash {number}") for number in range(30)}
    files.mkcol(f"{here}/folder")
    for name, data in expected.items():
        files.put(f"{here}/folder/{name}", data)
    files.delete(f"{here}/folder")
    assert mounted.dav.names(f"{FOLDER}/{place}") == []
    dav = mounted.cloud.dav()
    deleted = [name for name in dav.names(f"trashbin/{ADMIN}/trash") if name.startswith("folder.d")]
    assert len(deleted) == 1
    dav.move(f"trashbin/{ADMIN}/trash/{deleted[0]}", f"trashbin/{ADMIN}/restore/{deleted[0]}")
    assert files.tree(f"{here}/folder") == expected
    assert mounted.dav.tree(f"{FOLDER}/{place}/folder") == expected


def test_a_chunked_upload_of_sixty_megabytes_arrives_whole(mounted: Mounted, place: str) -> None:
    data = content("chunked", 60 << 20)
    target = {"Destination": mounted.files.href(f"{MOUNT}/{place}/large")}
    dav, upload = mounted.cloud.dav(), f"uploads/{ADMIN}/{place}"
    assert dav.request("MKCOL", upload, headers=target).status == 201
    for number, start in enumerate(range(0, len(data), BLOCK), 1):
        dav.put(f"{upload}/{number:05}", data[start : start + BLOCK], target)
    headers = {**target, "OC-Total-Length": str(len(data)), "X-OC-Mtime": str(CLOCK)}
    assert dav.request("MOVE", f"{upload}/.file", headers=headers).status == 201
    assert mounted.dav.sha256(f"{FOLDER}/{place}/large") == sha256(data)
    assert mounted.files.sha256(f"{MOUNT}/{place}/large") == sha256(data)
    assert modified(mounted.files, f"{MOUNT}/{place}/large") == CLOCK
    assert mounted.dav.names(f"{FOLDER}/{place}") == ["large"]


def test_a_scan_finds_all_that_is_in_the_mount(mounted: Mounted, place: str) -> None:
    for folder in ("a", "a/b", "c"):
        mounted.dav.mkcol(f"{FOLDER}/{place}/{folder}")
        mounted.dav.put(f"{FOLDER}/{place}/{folder}/file", folder.encode())
    said = mounted.cloud.occ("files:scan", "--path", f"/{ADMIN}/files/{MOUNT}/{place}")
    counted = [row for row in said.splitlines() if row.startswith("| ")][-1]
    folders, files, _, _, _, errors = [cell.strip() for cell in counted.split("|")[1:-1]][:6]
    assert (folders, files, errors) == ("4", "3", "0"), said


def test_changes_made_beside_nextcloud_are_noticed(mounted: Mounted, place: str) -> None:
    here, there = f"{MOUNT}/{place}", f"{FOLDER}/{place}"
    mounted.files.put(f"{here}/file", b"by nextcloud")
    assert mounted.files.names(here) == ["file"]
    mounted.dav.put(f"{there}/file", b"by another!!")
    mounted.dav.put(f"{there}/new", b"new")
    mounted.dav.mkcol(f"{there}/folder")
    mounted.dav.put(f"{there}/folder/inside", b"inside")
    expected = {"file": b"by another!!", "folder": None, "folder/inside": b"inside", "new": b"new"}
    assert mounted.files.tree(here) == expected
    mounted.dav.delete(f"{there}/new")
    mounted.dav.move(f"{there}/folder", f"{there}/renamed")
    expected = {"file": b"by another!!", "renamed": None, "renamed/inside": b"inside"}
    assert mounted.files.tree(here) == expected


def test_eight_users_work_in_the_mount_at_once(mounted: Mounted, place: str) -> None:
    names = [f"user{number}" for number in range(USERS)]
    for name in names:
        mounted.cloud.add_user(name)
        # The first sign-in sets much up, and Nextcloud's own SQLite takes one such at a time.
        mounted.cloud.files(name).mkcol(f"{MOUNT}/{place}/{name}")
    with ThreadPoolExecutor(USERS) as pool:
        list(pool.map(lambda name: work(mounted.cloud.files(name), place, name), names))
    tree = mounted.dav.tree(f"{FOLDER}/{place}")
    for name in names:
        assert tree[f"{name}/renamed"] == content(name, 400_000)
        assert tree[f"{name}/3"] == content(f"{name} again")
        assert f"{name}/4" not in tree
    assert len(tree) == USERS * (1 + 5)


def work(files: Dav, place: str, name: str) -> None:
    """What one user does: upload, overwrite, list, read, rename, delete."""
    here = f"{MOUNT}/{place}/{name}"
    for number in range(5):
        files.put(f"{here}/{number}", content(f"{name} {number}"))
    files.put(f"{here}/large", content(name, 400_000))
    files.put(f"{here}/3", content(f"{name} again"))
    assert files.get(f"{here}/3") == content(f"{name} again")
    files.move(f"{here}/large", f"{here}/renamed")
    files.delete(f"{here}/4")
    assert files.names(here) == ["0", "1", "2", "3", "renamed"]


def modified(files: Dav, path: str) -> float:
    """The modification time that WebDAV shows, in Unix seconds."""
    found = files.propfind(path, "0")[0].findtext(".//{DAV:}getlastmodified")
    assert found is not None
    return parsedate_to_datetime(found).timestamp()


def file_id(files: Dav, path: str) -> str:
    """Nextcloud's own number of a file."""
    body = (
        b'<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">'
        b"<d:prop><oc:fileid/></d:prop></d:propfind>"
    )
    answer = files.request("PROPFIND", path, body, {"Depth": "0"})
    assert answer.status == 207, answer
    return answer.body.decode().split("<oc:fileid>")[1].split("<")[0]
