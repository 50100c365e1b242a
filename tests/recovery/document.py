"""What docs/recovery.md has people run: its commands and its script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "recovery.md"


def script() -> str:
    """The script that is printed."""
    (found,) = re.findall(
        r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(found)


def commands(heading: str) -> list[str]:
    """The lines of shell under a heading."""
    _, _, rest = DOCUMENT.read_text("utf-8").partition(f"\n## {heading}\n")
    section = rest.partition("\n## ")[0]
    lines = [line for block in _blocks("sh", section) for line in block.splitlines()]
    assert lines, heading
    return lines


def _blocks(language: str, text: str) -> list[str]:
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [match[1] for match in fenced.finditer(text)]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str


class Person:
    """Somebody in an empty folder with the script, the identity and the stock tools only."""

    def __init__(self, folder: Path, identity: str, tools: Path | None = None) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "recover.py").write_text(script(), "utf-8")
        (folder / "identity.txt").write_text(identity + "\n")
        path = [str(Path(sys.executable).parent), os.environ["PATH"]]
        self.env = {
            "PATH": os.pathsep.join([str(tools), *path] if tools else path),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }

    def run(self, command: str, **named: str) -> Ended:
        """Run a documented line, with what it calls BUCKET, TENANT and so on put in."""
        for name, value in named.items():
            command = command.replace(name, value)
        return self.shell(command)

    def shell(self, command: str, env: Mapping[str, str] | None = None) -> Ended:
        """Run a line of shell."""
        ran = subprocess.run(
            ["sh", "-ec", command],
            cwd=self.folder,
            env=self.env | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )
        return Ended(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode())
