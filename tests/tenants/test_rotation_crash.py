"""``kill -9`` of a rotation, again and again, while files are written, moved, copied and read.

Every acknowledged file must read back, in every process, and nothing be under an old key then.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path as FilePath

import pytest

from bridge.crypto.secrets import open_secret, seal_secret
from bridge.files.errors import Busy, FileError, StorageUnavailable
from bridge.files.path import Path
from bridge.files.vault_tree import VaultTree
from bridge.tenants.rotation import Step
from tests.files.script import read, write
from tests.processes import clean_environment
from tests.tenants.ledgers import FileSecrets
from tests.tenants.rotating import KEK, NEW_KEK, TENANT, Process, process, recovered
from tests.tenants.rotator import LEASE, MARGINS, OTHER_ROTATES, PATIENCE

WRITERS = 4
NAMES = 8
KILLED_AFTER = (
    (Step.ADDING, 0.0, 0.05),  # before, between and after the bucket and the ledger know
    (Step.TAKING, MARGINS.taken, MARGINS.taken + 0.4),  # in the first pass
    (Step.SETTLING, 0.0, 0.2),
    (Step.SETTLING, MARGINS.settled - 2.0, MARGINS.settled),  # in the last passes
    (Step.REMOVING, 0.0, 0.05),
)
"""A step, and from how many to how many seconds after its beginning."""

_TRIES = 40

LEFT_BEHIND = {"UNREFERENCED_SPILL", "UNREFERENCED_BODY", "STALE_INTENT", "STALE_LEASE"}
"""What a process that was killed may leave, and fsck removes; none of it is anybody's."""


class Worker:
    """Changes files of one folder of its own, at random, and knows what must be there."""

    def __init__(self, tree: VaultTree, name: str, chance: random.Random) -> None:
        self._tree = tree
        self._chance = chance
        self.folder = Path((name,))
        self.files: dict[Path, tuple[bytes, dict[str, str]]] = {}
        self.done = Counter[str]()
        self._written: set[bytes] = set()
        tree.mkdir(self.folder)
        self._folders = [self.folder.child(f"folder {number}") for number in range(2)]
        for folder in self._folders:
            tree.mkdir(folder)

    def work(self, stopped: threading.Event) -> None:
        steps = [self._write, self._move, self._copy, self._set, self._read]
        steps += [self._move_folder, self._copy_folder]
        while not stopped.is_set():
            step = self._chance.choice(steps)
            try:
                step()
            except (Busy, StorageUnavailable):
                # On a busy machine, where an answer came too late: it may have been done.
                self._learn()
                self.done["not acknowledged"] += 1
            self.done[step.__name__] += 1

    def _learn(self) -> None:
        """See what is there, which must be of what was written."""
        found = self._below(self._tree, self.folder)
        assert {content for content, _ in found.values()} <= self._written
        self.files = found
        names = {entry.name for entry in self._tree.list(self.folder) if entry.is_directory}
        self._folders = [self.folder.child(name) for name in sorted(names)]
        assert self._folders

    def check(self, tree: VaultTree) -> None:
        """All that was acknowledged is there, in ``tree``, and nothing else."""
        assert self._below(tree, self.folder) == self.files

    def _below(self, tree: VaultTree, folder: Path) -> dict[Path, tuple[bytes, dict[str, str]]]:
        found: dict[Path, tuple[bytes, dict[str, str]]] = {}
        for entry in tree.list(folder):
            where = folder.child(entry.name)
            assert not entry.damaged, where
            if entry.is_directory:
                found |= self._below(tree, where)
            else:
                found[where] = read(tree, where), dict(tree.properties(where))
        return found

    def _place(self) -> Path:
        folder = self._chance.choice([self.folder, *self._folders])
        return folder.child(f"file {self._chance.randrange(NAMES)}")

    def _known(self) -> Path | None:
        return self._chance.choice(sorted(self.files, key=str)) if self.files else None

    def _write(self) -> None:
        where, content = self._place(), self._chance.randbytes(self._chance.randrange(5_000))
        self._written.add(content)
        write(self._tree, where, content)
        kept = self.files.get(where, (b"", {}))[1]
        self.files[where] = content, kept

    def _move(self) -> None:
        here, there = self._known(), self._place()
        if here is not None and here != there:
            self._tree.move(here, there, overwrite=True)
            self.files[there] = self.files.pop(here)

    def _copy(self) -> None:
        here, there = self._known(), self._place()
        if here is not None and here != there:
            self._tree.copy(here, there, overwrite=True)
            self.files[there] = self.files[here]

    def _set(self) -> None:
        where = self._known()
        if where is not None:
            size = self._chance.choice([10, 10, 6_000])
            value = {"{x}p": self._chance.choice("abc") * size}
            self._tree.set_properties(where, set=value)
            self.files[where] = self.files[where][0], value

    def _read(self) -> None:
        where = self._known()
        if where is not None:
            assert read(self._tree, where) == self.files[where][0]
            assert self._tree.properties(where) == self.files[where][1]

    def _move_folder(self) -> None:
        old = self._chance.choice(self._folders)
        new = self.folder.child(f"folder {self._chance.randrange(1_000)}")
        if new not in self._folders:
            self._tree.move(old, new, overwrite=False)
            self._folders[self._folders.index(old)] = new
            for where in [where for where in self.files if where.parent == old]:
                self.files[new.child(where.name)] = self.files.pop(where)

    def _copy_folder(self) -> None:
        """Over the other one, which is removed whole."""
        if len(self._folders) < 2:
            another = self.folder.child("another")
            self._tree.mkdir(another)
            self._folders.append(another)
        old, new = self._chance.sample(self._folders, 2)
        self._tree.copy(old, new, overwrite=True)
        for where in [where for where in self.files if where.parent == new]:
            del self.files[where]
        for where in [where for where in self.files if where.parent == old]:
            self.files[new.child(where.name)] = self.files[where]


class Load:
    """Workers at work."""

    def __init__(self, workers: list[Worker]) -> None:
        self._stopped = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work, args=(worker,)) for worker in workers]
        for thread in self._threads:
            thread.start()

    def _work(self, worker: Worker) -> None:
        try:
            worker.work(self._stopped)
        except (AssertionError, FileError) as error:
            self._failures.append(error)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
        if self._failures:
            raise self._failures[0]


def started(*arguments: str, folder: FilePath) -> subprocess.Popen[str]:
    """The program of ``rotator``, once it has opened the vault."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.tenants.rotator", *arguments, str(folder)],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "OPEN\n"
    return program


def killed(folder: FilePath, step: Step, delay: float) -> None:
    """Rotate, and kill that ``delay`` seconds after ``step`` has begun, if it gets there."""
    with started("rotate", folder=folder) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if line.startswith(step.name):
                time.sleep(delay)
                program.kill()
    assert program.returncode in (0, -signal.SIGKILL)


def ended(folder: FilePath, what: str = "rotate") -> None:
    """Rotate to the end, once the lease of who was killed has run out."""
    for _ in range(_TRIES):
        with started(what, folder=folder) as program:
            said, _ = program.communicate(timeout=120)
        if program.returncode == 0:
            return
        assert program.returncode == OTHER_ROTATES, said
        time.sleep(LEASE / 5)
    pytest.fail("the lease of a rotation that was killed does not run out")


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(2, marks=pytest.mark.timeout(300)),
        pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_no_file_is_lost_to_a_rotation_that_is_killed_under_load(
    rounds: int, tmp_path: FilePath
) -> None:
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"KILL_SEED={seed}")
    chance = random.Random(seed)
    with ExitStack() as stack:
        made = stack.enter_context(process(tmp_path, create=True, patience=PATIENCE, ttl=LEASE))
        workers = [
            Worker(made.tree, f"worker {number}", random.Random(f"{seed}/{number}"))
            for number in range(WRITERS)
        ]
        points = chance.sample(KILLED_AFTER, len(KILLED_AFTER))
        reader = stack.enter_context(started("read", folder=tmp_path))
        for number in range(rounds):
            before = made.keyring()
            load = Load(workers)
            try:
                step, first, last = points[number % len(points)]
                killed(tmp_path, step, chance.uniform(first, last))
                ended(tmp_path)
            finally:
                load.stop()
            check(made, workers, set(before.trks))
        files, *numbers = told_by(reader)
    done = sum((worker.done for worker in workers), Counter[str]())
    print(f"{rounds} rounds, {dict(done)}; read {files} files")
    assert files > 0
    assert numbers[-1] > 1


def check(made: Process, workers: list[Worker], old: set[bytes]) -> None:
    with process(made.folder) as fresh:
        assert set(fresh.problems(repair=True)) <= LEFT_BEHIND
        assert fresh.problems() == []
        for worker in workers:
            worker.check(fresh.tree)
            worker.check(made.tree)
        keyring = fresh.keyring()
        assert set(keyring.trks) == fresh.kids() == {keyring.active}
        assert not old & set(keyring.trks)
        vault = recovered(made, keyring.number)
        assert set(vault.meta_keys) == {keyring.active}
        assert len(list(vault.entries(vault.root))) > len(workers)
        assert fresh.ledger.read() == fresh.keyrings.newest_sealed()


def told_by(reader: subprocess.Popen[str]) -> list[int]:
    """End the reader; how many files it has read, and the keyrings under which."""
    output, _ = reader.communicate(input="", timeout=60)
    assert reader.returncode == 0
    return [int(word) for word in output.split()]


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(2, marks=pytest.mark.timeout(300)),
        pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_no_file_and_no_secret_is_lost_to_a_rotation_of_the_operator_s_key(
    rounds: int, tmp_path: FilePath
) -> None:
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"KILL_SEED={seed}")
    chance = random.Random(seed)
    kept = FileSecrets(tmp_path / "secrets.db")
    for number in range(50):
        kept.add(f"{number}", seal_secret(KEK, f"{number}", TENANT, b"%d" % number))
    with process(tmp_path, create=True):
        pass
    both = (KEK, NEW_KEK)
    with process(tmp_path, keks=both, patience=PATIENCE, ttl=LEASE) as made:
        workers = [
            Worker(made.tree, f"worker {number}", random.Random(f"{seed}/{number}"))
            for number in range(WRITERS)
        ]
        for number in range(rounds):
            to, kek = (("new-kek", NEW_KEK), ("kek", KEK))[number % 2]
            load = Load(workers)
            try:
                with started(to, folder=tmp_path) as program:
                    time.sleep(chance.uniform(0.0, 0.3))
                    program.kill()
                ended(tmp_path, to)
            finally:
                load.stop()
            with process(tmp_path, keks=(kek,)) as fresh:
                assert set(fresh.problems(repair=True)) <= LEFT_BEHIND
                for worker in workers:
                    worker.check(fresh.tree)
                assert fresh.ledger.read() == fresh.keyrings.newest_sealed()
            for secret in kept.all():
                plain = open_secret((kek,), secret.purpose, TENANT, secret.sealed)
                assert plain == secret.purpose.encode()
