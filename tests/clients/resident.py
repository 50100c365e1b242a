"""How much memory a running bridge has taken."""

from __future__ import annotations

import re
from pathlib import Path


def peak_memory(pid: int) -> int:
    """The most resident memory a process has had, in bytes (proc(5), VmHWM)."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
