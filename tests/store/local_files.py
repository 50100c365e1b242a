"""The files of a local store, for tests that look behind it."""

from __future__ import annotations

from pathlib import Path

from bridge.store.local.layout import place_of


def path_of(root: Path, key: str) -> Path:
    directory, name = place_of(key)
    return root / "objects" / directory / name


def files(root: Path) -> list[str]:
    """All files and directories of objects and uploads."""
    folders = (root / "objects", root / "uploads")
    return sorted(str(path.relative_to(root)) for folder in folders for path in folder.rglob("*"))


def temporary(root: Path) -> list[Path]:
    return list((root / "tmp").glob("*/*"))


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
