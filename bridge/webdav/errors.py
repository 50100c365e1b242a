"""The one table from what can go wrong to the status that WebDAV has for it."""

from __future__ import annotations

from xml.sax.saxutils import escape

from bridge.files import errors as files
from bridge.http.errors import Refused
from bridge.state import api as state

STATUS: dict[type[Exception], int] = {
    files.InvalidPath: 400,
    files.NoSuchFile: 404,
    files.NoSuchParent: 409,
    files.AlreadyExists: 412,
    files.IsDirectory: 405,
    files.NotDirectory: 409,
    files.IntoItself: 403,
    files.RootRefused: 403,
    files.ContentChanged: 412,
    files.Busy: 503,
    files.PropertiesTooLarge: 507,
    files.FileTooLarge: 413,
    files.StorageFull: 507,
    files.NotAllowed: 403,
    files.StorageForbidden: 403,
    files.StorageUnavailable: 503,
    files.DamagedFile: 500,
    state.StateUnavailable: 503,
    state.StateFull: 507,
    state.LeaseBusy: 503,
    state.LeaseLost: 503,
}
"""Status by class; a subclass has its nearest ancestor's."""

_WORDS: dict[type[Exception], str] = {
    state.StateUnavailable: "the state database does not answer; try again",
    state.StateFull: "the state database's disk is full",
}
"""What is said instead of an error's own words, which tell where the database is. It may be asked
before anybody has signed in. The state's log has its words."""

RETRY_AFTER = "10"
"""Seconds after which a 503 may be tried again."""


def refused_by(error: Exception) -> Refused | None:
    """The refusal an error of the layers below means; None for one that should not happen."""
    for kind in type(error).__mro__:
        status = STATUS.get(kind)
        if status is not None:
            headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
            return Refused(status, _WORDS.get(kind, str(error)), headers=headers)
    return None


def condition(status: int, name: str, href: str | None = None) -> Refused:
    """A refusal whose body names a precondition (RFC 4918, section 16)."""
    inner = "" if href is None else f"<D:href>{escape(href)}</D:href>"
    body = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<D:error xmlns:D="DAV:"><D:{name}>{inner}</D:{name}></D:error>\n'
    )
    return Refused(status, name, body=body.encode(), content_type="application/xml; charset=utf-8")
