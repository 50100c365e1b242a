"""``lockdiscovery`` (RFC 4918, section 15.8) as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.sax.saxutils import escape

from bridge.files.path import Path
from bridge.state.api import Lock
from bridge.webdav.locking import lock_path

NO_LOCKS = "<D:lockdiscovery/>"


def discovery(locks: Iterable[Lock], href: Callable[[Path], str]) -> str:
    """The property's element; ``href`` gives a path's public one."""
    active = "".join(_active(lock, href) for lock in locks)
    return f"<D:lockdiscovery>{active}</D:lockdiscovery>" if active else NO_LOCKS


def _active(lock: Lock, href: Callable[[Path], str]) -> str:
    scope = "exclusive" if lock.exclusive else "shared"
    depth = "infinity" if lock.deep else "0"
    left = max(1, round(lock.left))
    # A lock of a folder that the client does not see is told without its token.
    token = ""
    if lock.token:
        token = f"<D:locktoken><D:href>{escape(lock.token)}</D:href></D:locktoken>"
    return (
        "<D:activelock><D:locktype><D:write/></D:locktype>"
        f"<D:lockscope><D:{scope}/></D:lockscope><D:depth>{depth}</D:depth>"
        f"{lock.owner}<D:timeout>Second-{left}</D:timeout>"
        f"{token}"
        f"<D:lockroot><D:href>{escape(href(lock_path(lock.root)))}</D:href></D:lockroot>"
        "</D:activelock>"
    )
