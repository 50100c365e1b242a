"""A plain page that lists a folder, for people who open it in a browser."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice

from bridge.files.api import Entry
from bridge.files.path import Path, quote_name
from bridge.http.dates import iso_date

_MOST = 5000
"""Entries shown; a browser is no place for more."""

_STYLE = "body{font-family:sans-serif;margin:2em}td{padding:.1em 1em .1em 0}"


def page(path: Path, base: str, entries: Iterable[Entry]) -> bytes:
    """The page; ``base`` is the folder's public href with a slash at its end.

    Links are absolute paths: a folder may be opened without the slash that relative ones need.
    """
    shown = list(islice(entries, _MOST + 1))
    more = len(shown) > _MOST
    shown = sorted(shown[:_MOST], key=lambda entry: (not entry.is_directory, entry.name.lower()))
    rows = "".join(_row(base, entry) for entry in shown)
    title = escape(str(path))
    above = escape(base.rstrip("/").rpartition("/")[0] + "/")
    up = "" if path.is_root else f'<p><a href="{above}">..</a></p>'
    note = f"<p>Only the first {_MOST} entries are shown.</p>" if more else ""
    text = (
        f"<!DOCTYPE html><html><head><meta charset=utf-8><title>{title}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{up}"
        f"<table>{rows}</table>{note}</body></html>\n"
    )
    return text.encode("utf-8", "replace")


def _row(base: str, entry: Entry) -> str:
    slash = "/" if entry.is_directory else ""
    href = escape(base + quote_name(entry.name) + slash)
    size = "" if entry.is_directory else f"{entry.size:,}"
    return (
        f'<tr><td><a href="{href}">{escape(entry.name)}{slash}</a></td>'
        f"<td align=right>{size}</td><td>{iso_date(int(entry.mtime))}</td></tr>"
    )
