"""Names that clients and servers are known to lose, and trees of files made of them."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping
from pathlib import Path

ODD_NAMES = (
    "two words.txt",
    "semi;colon;v=1.txt",
    "what?.txt",
    "hash#tag.txt",
    "100%.txt",
    "per%20cent%2Fsign.txt",
    "a+b.txt",
    "it's.txt",
    'say "hi".txt',
    "<&>.txt",
    "[b]{c}(d).txt",
    "a=b,c@d$e!f~g^h`i|j.txt",
    "smile \N{GRINNING FACE}.txt",
    "composed \N{LATIN SMALL LETTER E WITH ACUTE}.txt",
    "decomposed e\N{COMBINING ACUTE ACCENT}.txt",
    ".leading.txt",
    "...txt",
    "trailing.txt ",
    "n" * 251 + ".txt",
)
"""Each is a valid name of a file on Linux. The composed and the decomposed one differ in their
first word, so that they are two files; the last has 255 bytes."""


def content(seed: str, size: int = 1_000) -> bytes:
    """``size`` bytes that depend on ``seed`` and repeat nowhere."""
    return random.Random(seed).randbytes(size)


def odd_files() -> dict[str, bytes]:
    """A file of its own content for each odd name."""
    return {name: content(name) for name in ODD_NAMES}


def write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (relative path to content) below ``folder``."""
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def read_tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below ``folder``: relative paths to content, None for a folder."""
    found: dict[str, bytes | None] = {}
    for where, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.relpath(Path(where, name), folder)] = None
        for name in files:
            found[os.path.relpath(Path(where, name), folder)] = Path(where, name).read_bytes()
    return found


def sha256(data: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
