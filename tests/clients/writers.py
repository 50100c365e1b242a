"""Writers that know at every moment what the server may hold, for killing the server under them.

Each works alone in a folder of its own, one request after another. So when the server dies, what is
stored is the state before the request under way, or the state after it, and nothing between.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException

from tests.clients.dav import Dav

Tree = dict[str, str | None]
"""Relative paths to the SHA-256 of the content, None for a folder."""

FULL = 40
"""Entries in a writer's folder from which it rather deletes."""

SIZES = (0, 1, 700, 65_536, 65_537, 300_000, 3_000_000)
"""Bytes of a body: around a chunk's edge, within one block of 1 MiB and over it."""


@dataclass(frozen=True)
class Change:
    """A request and the tree as it will be once it has taken effect."""

    send: Callable[[], int]
    after: Tree


class Writer:
    """Makes random changes in ``folder`` until the connection breaks or it is told to stop."""

    def __init__(self, dav: Dav, folder: str) -> None:
        self._dav = dav
        self.folder = folder
        self.tree: Tree = {}
        self.pending: Tree | None = None
        self.acknowledged = 0
        self.refused: list[str] = []

    def run(self, chance: random.Random, stop: threading.Event) -> None:
        """Work until ``stop`` or a broken connection; ``pending`` is then what may be stored."""
        while not stop.is_set():
            change = self._next(chance)
            self.pending = change.after
            try:
                status = change.send()
            except (OSError, HTTPException):
                return
            if status >= 300:
                self.refused.append(f"{status} instead of {change.after}")
                return
            self.acknowledged += 1
            self.tree, self.pending = change.after, None

    def settle(self) -> None:
        """Compare with what is stored now, and go on from there. Fails when it is neither state."""
        found: Tree = {
            path: None if data is None else hashlib.sha256(data).hexdigest()
            for path, data in self._dav.tree(self.folder).items()
        }
        possible = [self.tree] if self.pending is None else [self.tree, self.pending]
        assert found in possible, (
            f"{self.folder}: differs from the acknowledged state by {_difference(self.tree, found)}"
            f" and from the one under way by {_difference(possible[-1], found)}"
        )
        self.tree, self.pending = found, None

    def _next(self, chance: random.Random) -> Change:
        files = [path for path, digest in self.tree.items() if digest is not None]
        folders = [path for path, digest in self.tree.items() if digest is None]
        kinds: list[Callable[[random.Random, list[str], list[str]], Change]]
        kinds = [self._put, self._put, self._mkcol]
        if files:
            kinds += [self._overwrite, self._overwrite, self._move, self._replace, self._copy]
            kinds += [self._delete]
        if folders:
            kinds += [self._move_folder, self._delete_folder]
        if len(self.tree) >= FULL:
            kinds = [self._delete, self._delete_folder] if files and folders else [self._delete]
            kinds = kinds if files else [self._delete_folder]
        return chance.choice(kinds)(chance, files, folders)

    def _fresh(self, chance: random.Random, folders: list[str]) -> str:
        """A path that is free, in one of the folders."""
        name = f"{chance.getrandbits(40):010x} ;?#%"
        parent = chance.choice(["", *folders])
        return f"{parent}/{name}" if parent else name

    def _upload(self, path: str, chance: random.Random) -> Change:
        data = chance.randbytes(chance.choice(SIZES))
        digest = hashlib.sha256(data).hexdigest()

        def send() -> int:
            return self._dav.request("PUT", f"{self.folder}/{path}", data).status

        return Change(send, {**self.tree, path: digest})

    def _put(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        return self._upload(self._fresh(chance, folders), chance)

    def _overwrite(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        return self._upload(chance.choice(files), chance)

    def _mkcol(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        path = self._fresh(chance, folders)
        return Change(lambda: self._simple("MKCOL", path), {**self.tree, path: None})

    def _delete(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        return self._gone(chance.choice(files))

    def _delete_folder(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        return self._gone(chance.choice(folders))

    def _gone(self, path: str) -> Change:
        return Change(lambda: self._simple("DELETE", path), _without(self.tree, path))

    def _move(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        return self._moved(chance.choice(files), self._fresh(chance, folders))

    def _replace(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        source, target = chance.choice(files), chance.choice(files)
        return self._upload(source, chance) if source == target else self._moved(source, target)

    def _move_folder(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        source = chance.choice(folders)
        outside = [each for each in folders if not f"{each}/".startswith(f"{source}/")]
        return self._moved(source, self._fresh(chance, outside))

    def _moved(self, source: str, target: str) -> Change:
        moved = {
            target + path.removeprefix(source): digest
            for path, digest in self.tree.items()
            if path == source or path.startswith(f"{source}/")
        }
        return Change(
            lambda: self._simple("MOVE", source, target), {**_without(self.tree, source), **moved}
        )

    def _copy(self, chance: random.Random, files: list[str], folders: list[str]) -> Change:
        source, target = chance.choice(files), self._fresh(chance, folders)
        after = {**self.tree, target: self.tree[source]}
        return Change(lambda: self._simple("COPY", source, target), after)

    def _simple(self, method: str, path: str, target: str = "") -> int:
        headers = {"Destination": self._dav.href(f"{self.folder}/{target}")} if target else {}
        return self._dav.request(method, f"{self.folder}/{path}", headers=headers).status


def _without(tree: Tree, gone: str) -> Tree:
    return {
        path: digest
        for path, digest in tree.items()
        if path != gone and not path.startswith(f"{gone}/")
    }


def _difference(expected: Tree, found: Tree) -> dict[str, tuple[str, str]]:
    """What differs: path to (expected, found)."""
    return {
        path: (str(expected.get(path, "absent")), str(found.get(path, "absent")))
        for path in expected.keys() | found.keys()
        if expected.get(path, "absent") != found.get(path, "absent")
    }
