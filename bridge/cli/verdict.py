"""What ``storj-bridge check`` says of each thing it looks at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, whether it will do, and why."""

    name: str
    ok: bool
    words: str
