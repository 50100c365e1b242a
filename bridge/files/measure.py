"""How much lies at a path, counted by walking it."""

from __future__ import annotations

from bridge.files.api import Usage
from bridge.files.content import stored_size
from bridge.files.path import Path
from bridge.files.vault import Vault


def measure(vault: Vault, path: Path) -> Usage:
    """See ``FileTree.usage``. With the tenant's own store, whoever asks."""
    top = vault.root
    if not path.is_root:
        _, node = vault.walker.find_existing(path)
        if node.directory_id is None:
            return Usage(node.entry.size, 1, stored_size(node.entry.size))
        top = node.directory_id
    size = stored = files = 0
    seen = {top}
    waiting = [top]
    while waiting:
        for node in vault.nodes.in_directory(waiting.pop()):
            directory = node.directory_id
            if directory is None:
                size += node.entry.size
                stored += stored_size(node.entry.size)
                files += 1
            elif directory not in seen:  # a record pointing back at an ancestor
                seen.add(directory)
                waiting.append(directory)
    return Usage(size, files, stored)
