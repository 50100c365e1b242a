"""Demos for the sessions, each with its files on the store that the session is run on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.network.client import Network
from tests.network.values import BucketState, Project
from tests.processes import Demo


class NewDemo(Protocol):
    """Makes a demo in ``folder``, with ``env`` over the environment. It is not started yet."""

    def __call__(self, folder: Path, *, env: Mapping[str, str] | None = None) -> Demo: ...


class StorjDemo(Demo):
    """A demo with its files in a new bucket of ``project``, and all else in ``folder``."""

    def __init__(
        self,
        network: Network,
        project: Project,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._network = network
        self._project = project
        self.bucket = network.new_bucket_name()
        self.grant = folder / "grant"
        self.grant.write_text(project.grant)
        self.grant.chmod(0o600)
        super().__init__(folder / "data", env=env)

    def _arguments(self) -> list[str]:
        there = ["--storj-grant-file", str(self.grant), "--storj-bucket", self.bucket]
        return [*super()._arguments(), *there]

    def bucket_state(self) -> BucketState:
        """What the satellite itself says of the bucket."""
        return self._network.bucket(self._project, self.bucket)


def local_demo(folder: Path, *, env: Mapping[str, str] | None = None) -> Demo:
    """A demo with everything in ``folder``."""
    return Demo(folder / "data", env=env)


def stored(demo: Demo) -> int:
    """How many objects the store holds, those included that are not published yet.

    On the disk these are files; on Storj the satellite counts them.
    """
    if isinstance(demo, StorjDemo):
        return demo.bucket_state().objects
    return sum(path.is_file() for path in (demo.data / "store").rglob("*"))
