"""What single clients need that others do not: one table for each, by user agent."""

from __future__ import annotations

import re

NEXTCLOUD_AGENT = re.compile(r"sabre-dav/|sabre-http/|Nextcloud[ -]Server[ -]Crawler")
"""The agents of Nextcloud's ``dav`` mounts: sabre/dav's client, and Guzzle as Nextcloud sets it."""

_NEXTCLOUD_VERBS = frozenset({"PROPFIND", "MKCOL", "COPY", "MOVE", "DELETE", "PROPPATCH"})

NEXTCLOUD_STATUS = {
    400: 403,
    404: 403,
    409: 403,
    412: 403,
    413: 403,
    414: 403,
    500: 403,
    502: 403,
    507: 403,
}
"""On verbs other than GET and PUT each of these takes the whole mount offline for ten minutes.

Measured with Nextcloud 32: only 401, 403, 405 and 423 do not. 503 is left as it is, for then
the mount is out of reach.
"""

NEXTCLOUD_BUSY = 423
"""For a name on which somebody else works: 503 would take the mount offline."""

_NEXTCLOUD_404 = frozenset({"PROPFIND", "DELETE"})
"""Where Nextcloud takes 404 for what it says."""

PYDIO_AGENT = re.compile(r"Guzzle/5")
"""Pydio 8 reads ``.xml`` files through a client that parses every XML answer as a multistatus."""


def status_for(agent: str, method: str, status: int, *, busy: bool = False) -> int:
    """The status this client is sent in place of ``status``."""
    if method not in _NEXTCLOUD_VERBS or not NEXTCLOUD_AGENT.search(agent):
        return status
    if busy:
        return NEXTCLOUD_BUSY
    if status == 404 and method in _NEXTCLOUD_404:
        return status
    return NEXTCLOUD_STATUS.get(status, status)


def content_type_for(agent: str, content_type: str) -> str:
    """The Content-Type this client is sent with a file."""
    if content_type.endswith(("/xml", "+xml")) and PYDIO_AGENT.search(agent):
        return "application/octet-stream"
    return content_type
