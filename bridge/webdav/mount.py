"""Where the tree lies in the server's URLs, inside and as clients see it behind a proxy."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.files.errors import InvalidPath
from bridge.files.path import Path, quote_name
from bridge.http.errors import Refused
from bridge.http.origin import Origin, PublicURL, plain_host


@dataclass(frozen=True, slots=True)
class Above:
    """A collection above the mount: the server's root or a folder on the way, not in any tree.

    ``below``: the name of the next one towards the mount.
    """

    href: str
    below: str


class Elsewhere(Exception):
    """A URL in a header that names no resource of this server's tree."""


class Mount:
    """Translates URLs to paths and back.

    A proxy may hand on the public path or strip it: both forms are understood, in request
    targets, ``Destination`` and ``If``; answers always carry the public one.
    """

    def __init__(self, path: str = "/dav", public: PublicURL | None = None) -> None:
        try:
            self._inner = Path.from_target(path).names
        except InvalidPath as error:
            raise ValueError(f"the WebDAV path {path!r} cannot be one: {error}") from error
        prefix = public.names if public else ()
        self._public = prefix + self._inner
        if prefix and self._inner and prefix[: len(self._inner)] == self._inner:
            raise ValueError(
                f"the public URL's path may not begin with the WebDAV path {path!r}: "
                "with a proxy that strips it nobody could tell the two apart"
            )
        self._root = "".join("/" + quote_name(name) for name in self._public)

    @property
    def root(self) -> str:
        """The public path of the tree's root, with a slash at the end."""
        return self._root + "/"

    def locate(self, target: str) -> Path | Above:
        """What a request target names; raises InvalidPath, and Refused 404 outside the mount."""
        full = Path.from_target(target_path(target)).names
        inside = self._inside(full)
        if inside is not None:
            return inside
        for mount in (self._public, self._inner):
            if full == mount[: len(full)]:
                href = "".join("/" + quote_name(name) for name in full) + "/"
                return Above(href, mount[len(full)])
        raise Refused(404, "nothing is served here")

    def href(self, path: Path, *, directory: bool) -> str:
        """The public absolute path of a resource, as every href in an answer has it."""
        quoted = self._root + path.quoted()
        return quoted + "/" if directory and path.names else quoted

    def resolve(self, url: str, origin: Origin) -> Path:
        """The path that a URL in a header names: absolute, or only an absolute path.

        Raises Elsewhere for another host or outside the mount, InvalidPath.
        """
        scheme, separator, rest = url.partition("://")
        if separator and "/" not in scheme:
            netloc, slash, path = rest.partition("/")
            if plain_host(netloc, scheme.lower()) not in origin.hosts:
                raise Elsewhere
            url = slash + path
        if not url.startswith("/"):
            raise Elsewhere
        inside = self._inside(Path.from_target(url.partition("?")[0]).names)
        if inside is None:
            raise Elsewhere
        return inside

    def _inside(self, names: tuple[str, ...]) -> Path | None:
        for mount in (self._public, self._inner):
            if names[: len(mount)] == mount:
                return Path(names[len(mount) :])
        return None


def target_path(target: str) -> str:
    """The path of a request target in origin or absolute form (RFC 9112, section 3.2).

    Raises InvalidPath for one with a fragment: a client that forgot to escape ``#`` means another
    resource than the one before it.
    """
    if "#" in target:
        raise InvalidPath("a # in a name must be escaped as %23")
    if not target.startswith("/"):
        _, separator, rest = target.partition("://")
        if not separator:
            raise InvalidPath("the request target is no path")
        target = "/" + rest.partition("/")[2]
    return target.partition("?")[0]
