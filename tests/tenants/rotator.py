"""Processes that rotate keys, and one that reads: ``python -m`` with what to do.

``rotate <folder>`` says each step on a line of its own as it comes, and exits with 3 when another
process rotates. ``kek <folder>`` and ``new-kek <folder>`` make one of two keys the operator's.
``read <folder>`` reads everything again and again until its input ends.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bridge.crypto.keyring import Kek
from bridge.files.errors import Busy, FileError, NoSuchFile
from bridge.files.path import Path as TreePath
from bridge.files.resealer import Tally
from bridge.files.vault_tree import VaultTree
from bridge.tenants.rotation import Margins, RotationError, Step, rotate_kek
from tests.files.script import read
from tests.tenants.ledgers import FileSecrets
from tests.tenants.rotating import KEK, NEW_KEK, TENANT, process

LEASE = 9.0
"""Seconds that a lease outlives who was killed; a change may take some 5 less."""

KEK_LEASE = 2.0
"""The same for who rotates the operator's key, which takes a moment."""

PATIENCE = 0.5

MARGINS = Margins(taken=PATIENCE + 0.3, settled=PATIENCE + LEASE)
"""As the real ones, for these."""

QUIET = 2.0

PASS_PAUSE = 0.2
"""Seconds from one reading of everything to the next."""

OTHER_ROTATES = 3
"""Exit code of a rotation that was refused."""


def rotate(folder: Path) -> int:
    def say(step: Step, tally: Tally) -> None:
        print(step.name, tally.resealed, flush=True)

    with process(folder, patience=PATIENCE, ttl=LEASE) as found:
        print("OPEN", flush=True)
        try:
            found.rotation(margins=MARGINS, quiet=QUIET, progress=say).run()
        except RotationError as error:
            print(error, flush=True)
            return OTHER_ROTATES
    return 0


def make_first(keks: tuple[Kek, ...], folder: Path) -> int:
    secrets = FileSecrets(folder / "secrets.db").all
    with process(folder, keks=keks, patience=PATIENCE, ttl=KEK_LEASE) as found:
        print("OPEN", flush=True)
        state = found.vault.state
        try:
            rotate_kek(found.keyrings, found.ledger, keks, TENANT, secrets, state)
        except RotationError as error:
            print(error, flush=True)
            return OTHER_ROTATES
    return 0


def read_all(folder: Path) -> int:
    """Says at its end how many files it has read, and under which keyrings."""
    files, numbers = 0, set()
    with process(folder, patience=PATIENCE, ttl=LEASE) as found:
        print("OPEN", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            files += _read_below(found.tree, TreePath())
            numbers.add(found.vault.keys.number)
            time.sleep(PASS_PAUSE)
    print(files, *sorted(numbers), flush=True)
    return 0


def _read_below(tree: VaultTree, folder: TreePath) -> int:
    count = 0
    try:
        for entry in tree.list(folder):
            where = folder.child(entry.name)
            if entry.damaged:
                raise AssertionError(f"{where} is damaged")
            if entry.is_directory:
                count += _read_below(tree, where)
                continue
            try:
                read(tree, where)
                tree.properties(where)
            except (NoSuchFile, Busy):
                continue
            count += 1
    except NoSuchFile:
        return count
    except FileError as error:
        error.add_note(f"in {folder}")
        raise
    return count


if __name__ == "__main__":
    programs: dict[str, Callable[[Path], int]] = {
        "rotate": rotate,
        "kek": partial(make_first, (KEK, NEW_KEK)),
        "new-kek": partial(make_first, (NEW_KEK, KEK)),
        "read": read_all,
    }
    sys.exit(programs[sys.argv[1]](Path(sys.argv[2])))
