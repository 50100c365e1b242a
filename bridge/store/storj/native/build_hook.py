"""The build hook: hatchling calls it for wheels and editable installs."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path(__file__).resolve().parent

# Hatchling loads this file by its path, when bridge cannot be imported yet: so the folder is
# made a package of its own.
_spec = importlib.util.spec_from_file_location("native", FOLDER / "__init__.py")
assert _spec is not None
assert _spec.loader is not None
sys.modules["native"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["native"])
build = importlib.import_module("native.build")
toolchain = importlib.import_module("native.toolchain")

LEFT_OUT = "STORJ_BRIDGE_WITHOUT_STORJ"


class NativeLibrary(BuildHookInterface):  # type: ignore[misc] # hatchling is there in builds only
    """Builds the library first, and puts it with its licences into wheels."""

    def dependencies(self) -> list[str]:
        """What PyPI must give for the build: nothing when there is nothing to build."""
        if self._is_left_out() or build.is_fresh():
            return []
        try:
            return list(toolchain.requirements())
        except toolchain.CannotBuild as problem:
            self.app.abort(str(problem))
            raise

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, or end the whole installation with a paragraph that says why not."""
        if self._is_left_out():
            if version == "editable":  # it would be found there, of whatever sources
                build.remove()
            return
        try:
            build.build()
        except toolchain.CannotBuild as problem:
            self.app.abort(str(problem))
        if version == "standard":
            for path in (build.LIBRARY, build.LICENCES):
                build_data["force_include"][str(path)] = str(path.relative_to(self.root))
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
            build_data["pure_python"] = False

    def _is_left_out(self) -> bool:
        """Whether who installs wants no Storj."""
        chosen = os.environ.get(LEFT_OUT, "")
        if chosen not in ("", "0", "1"):
            self.app.abort(f"storj-bridge: {LEFT_OUT} is {chosen!r}: set it to 1, or not at all")
        return chosen == "1"
