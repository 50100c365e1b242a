"""One Nextcloud for all tests here, with a folder of the demo mounted in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.clients.dav import Dav
from tests.nextcloud.server import Nextcloud, nextcloud_tree
from tests.processes import Demo

FOLDER = "nextcloud"
"""The mounted folder of the demo."""

MOUNT = "bridge"
"""Where it is mounted in every user's files."""


@dataclass(frozen=True)
class Mounted:
    """``cloud`` with mount number ``mount``; ``files`` are the admin's, ``dav`` is the demo's root.

    A file at ``bridge/x`` of ``files`` is at ``nextcloud/x`` of ``dav``.
    """

    cloud: Nextcloud
    mount: int
    files: Dav
    dav: Dav


@pytest.fixture(scope="session")
def mounted(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    tree = nextcloud_tree()
    dav = Dav(demo.url, demo.username, demo.password)
    dav.mkcol(FOLDER)
    with Nextcloud(tree, tmp_path_factory.mktemp("nextcloud")) as cloud:
        mount = cloud.mount(demo, FOLDER, MOUNT)
        yield Mounted(cloud, mount, cloud.files(), dav)
    dav.delete(FOLDER)


@pytest.fixture
def place(mounted: Mounted, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty folder of the test's own in the mount, made by Nextcloud."""
    name = request.node.name[5:60]
    mounted.files.mkcol(f"{MOUNT}/{name}")
    yield name
    mounted.cloud.check(mounted.mount)
