"""How a recovery identity is handed out."""

from __future__ import annotations


def identity_file(identity: str, fingerprint: str) -> str:
    """The two lines to be kept as ``identity.txt``, of which ``age`` skips the first.

    The script in ``docs/recovery.md`` restores no other vault than the one that it names.
    """
    return f"# vault fingerprint: {fingerprint}\n{identity}"
