"""A tenant's vault behind a WebDAV server, and trees to compare: as WebDAV shows them, on disk."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, unquote

from bridge.crypto.keyring import Kek
from bridge.files.content import STANDALONE
from bridge.files.vault import Vault
from bridge.files.vault_tree import VaultTree
from bridge.state.database import open_state
from bridge.store.api import ObjectStore
from bridge.tenants.vault import Keyrings
from tests.webdav.client import Client, Reply
from tests.webdav.server import running

TENANT = "acme"

APART = 1 << 20
"""Sealed bytes from which bodies stand apart here, so that a test need not write 500 GB."""

ODD_NAMES = (
    "plain.txt",
    "Gärten",
    "Ga\u0308rten of NFD",
    "\u1b05\u1b35 is not \u1b06",
    "\u212b is no \u00c5",
    "🌻",
    "a;b?c#d%e+f'g\"h&i<j>k*l|m:n\\o",
    " blanks around ",
    "-rf",
    "...",
    "~",
    "line\nbreak\ttab",
    "Case",
    "case",
    "n" * 255,
    "日" * 85,
    "%2e%2e%2f",
)

SIZES = (0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 3_000_000)
"""The last one stands apart."""


@dataclass(frozen=True)
class Seen:
    """A file by the digest of its content, or a folder (``""``); whole Unix seconds."""

    digest: str
    mtime: int
    created: int | None = None


Tree = dict[tuple[str, ...], Seen]


@dataclass
class Scene:
    """A vault and a client at its door. ``identity``: the recovery identity."""

    store: ObjectStore
    keyrings: Keyrings
    tree: VaultTree
    identity: str
    client: Client

    def ask(self, method: str, *names: str, body: bytes = b"", **headers: str) -> Reply:
        """One request about a path that is not quoted yet."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client(method, path_of(names), body or None, sent)

    def put(self, *names: str, body: bytes = b"", **headers: str) -> None:
        """Write a file."""
        assert self.ask("PUT", *names, body=body, **headers).status in (201, 204), names

    def folder(self, *names: str) -> None:
        """Make a folder."""
        assert self.ask("MKCOL", *names).status == 201, names

    def send(self, method: str, source: tuple[str, ...], target: tuple[str, ...]) -> None:
        """MOVE or COPY."""
        destination = self.client.root + path_of(target)
        assert self.ask(method, *source, Destination=destination).status in (201, 204), source

    def delete(self, *names: str) -> None:
        """Delete a file or folder."""
        assert self.ask("DELETE", *names).status == 204, names

    def shown(self) -> Tree:
        """The whole tree as WebDAV shows it, without its root."""
        found: Tree = {}
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            names = waiting.pop()
            listing = self.ask("PROPFIND", *names, Depth="1")
            assert listing.status == 207
            for index, href in list(enumerate(listing.hrefs))[1:]:
                child = (*names, unquote(href.rstrip("/").rpartition("/")[2]))
                found[child] = self._seen(child, listing, index)
                if not found[child].digest:
                    waiting.append(child)
        return found

    def _seen(self, names: tuple[str, ...], listing: Reply, index: int) -> Seen:
        props = listing.props(index)
        mtime = int(parsedate_to_datetime(props["{DAV:}getlastmodified"].text or "").timestamp())
        created = int(datetime.fromisoformat(props["{DAV:}creationdate"].text or "").timestamp())
        if props["{DAV:}resourcetype"].find("{DAV:}collection") is not None:
            return Seen("", mtime, created)
        return Seen(hashlib.sha256(self.ask("GET", *names).body).hexdigest(), mtime, created)


def path_of(names: tuple[str, ...]) -> str:
    """The path of a request."""
    return "/" + "/".join(quote(name, safe="") for name in names)


@contextmanager
def served(store: ObjectStore, folder: Path, *, standalone: int = STANDALONE) -> Iterator[Scene]:
    """A new vault in ``store``, with a door; its state in ``folder``."""
    with ExitStack() as stack:
        stack.callback(store.close)
        state = stack.enter_context(open_state(folder / "state.db"))
        keyrings = Keyrings(store, (Kek(secrets.token_bytes(32)),), TENANT)
        keys, identity = keyrings.open(create=True)
        assert identity is not None
        vault = Vault(
            store, keys, state.tree(TENANT), prefix=keyrings.prefix, standalone=standalone
        )
        tree = VaultTree(vault)
        server = stack.enter_context(running(tree, state.locks(TENANT)))
        yield Scene(store, keyrings, tree, identity, server.client())


def write_all(scene: Scene) -> None:
    """Everything that a recovery could get wrong."""
    for number, name in enumerate(ODD_NAMES):
        scene.put(name, body=name.encode() * (number + 1))
    scene.folder("sizes")
    for size in SIZES:
        scene.put("sizes", str(size), body=secrets.token_bytes(size))
    scene.folder("empty")
    scene.folder("deep")
    for depth in range(1, 12):
        scene.folder("deep", *map(str, range(1, depth)), str(depth))
    scene.put("deep", *map(str, range(1, 12)), "bottom", body=b"here")
    for name in ODD_NAMES:
        scene.folder("folders " + name[:80])
        scene.put("folders " + name[:80], name, body=b"in a folder")
    # Renamed, so that the name in its record, as first written, is no longer its name.
    scene.put("re\u0301sume\u0301", body=b"renamed")
    scene.send("MOVE", ("re\u0301sume\u0301",), ("cv",))
    scene.folder("moved from")
    scene.put("moved from", "kept", body=b"moved along")
    scene.send("MOVE", ("moved from",), ("empty", "moved to"))
    scene.send("COPY", ("sizes",), ("copy of sizes",))
    scene.send("COPY", ("sizes", "3000000"), ("copy of what stands apart",))
    scene.put("overwritten", body=b"old" * 50_000)
    scene.put("overwritten", body=b"new")
    scene.put("dated", body=b"then", X_OC_Mtime="981173106")
    scene.put("before 1970", body=b"then", X_OC_Mtime="-86400")
    scene.put("with properties", body=b"content")
    properties = "".join(f'<p{i} xmlns="urn:x">{"y" * 900}</p{i}>' for i in range(8))
    update = (
        f'<propertyupdate xmlns="DAV:"><set><prop>{properties}</prop></set></propertyupdate>'
    ).encode()
    assert scene.ask("PROPPATCH", "with properties", body=update).status == 207
    scene.put("deleted", body=b"no more")
    scene.delete("deleted")
    scene.folder("deleted folder")
    scene.folder("deleted folder", "below")
    scene.put("deleted folder", "below", "gone", body=b"not asked for")
    scene.delete("deleted folder")


def on_disk(folder: Path) -> Tree:
    """What lies in ``folder``, without itself."""
    found: Tree = {}
    for path in folder.rglob("*"):
        assert not path.is_symlink()
        content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(folder).parts] = Seen(content, path.stat().st_mtime_ns // 10**9)
    return found


def with_folders_as_recovered(shown: Tree) -> Tree:
    """The same with the times a recovery gives to folders, which the vault does not keep."""
    expected: Tree = {}
    for names, seen in shown.items():
        mtime = seen.mtime
        if not seen.digest:
            inside = [s for n, s in shown.items() if n[:-1] == names]
            times = [max(s.created or 0, s.mtime if s.digest else 0) for s in inside]
            mtime = max([seen.created or 0, *times])
        expected[names] = Seen(seen.digest, mtime)
    return expected
