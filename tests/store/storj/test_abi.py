"""The library's control half is libuplinkc to whoever calls it: names, layouts, codes."""

from __future__ import annotations

import ctypes
import inspect
import re
import shlex
import subprocess

import pytest
import uplink_python.access
import uplink_python.errors
import uplink_python.module_def
import uplink_python.project
import uplink_python.uplink

from bridge.store.storj import control, refusals
from bridge.store.storj.library import load
from bridge.store.storj.native.toolchain import FOLDER, find_cc

HEADER = re.sub(r"//.*", "", (FOLDER / "uplink.h").read_text())

ENUMERATORS = {
    name: int(value, 16)
    for name, value in re.findall(r"^\s+(\w+_ERROR_\w+) = (0x[0-9a-f]+),", HEADER, re.MULTILINE)
}

C_STRUCTS = re.findall(r"^typedef struct (Uplink\w+) \{$", HEADER, re.MULTILINE)

Struct = type[ctypes.Structure]


def _structs(module: object) -> dict[str, Struct]:
    """The structures of the header that a module defines, by their names in C."""
    found: dict[str, Struct] = {}
    for name, kind in vars(module).items():
        c_name = "Uplink" + name.removeprefix("_").removesuffix("Struct")
        if c_name in C_STRUCTS and inspect.isclass(kind) and issubclass(kind, ctypes.Structure):
            found[c_name] = kind
    return found


OURS = _structs(control)
THEIRS = _structs(uplink_python.module_def)

Layout = list[tuple[str, list[int]]]


def _layout(struct: Struct) -> Layout:
    """The size of a structure, then the offset and size of each field in its order."""
    fields = [
        name for kind in reversed(struct.__mro__) for name, *_ in vars(kind).get("_fields_", ())
    ]
    places = [(name, getattr(struct, name)) for name in fields]
    return [
        ("", [ctypes.sizeof(struct)]),
        *((name, [place.offset, place.size]) for name, place in places),
    ]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Layout]:
    """The layouts that a C compiler gives the structures of uplink.h."""
    prints = []
    for struct in C_STRUCTS:
        body = re.search(rf"typedef struct {struct} {{(.*?)}}", HEADER, re.DOTALL)
        assert body
        prints.append(f'printf("{struct} %zu", sizeof({struct}));')
        prints += [
            f'printf(" {field} %zu %zu", '
            f"offsetof({struct}, {field}), sizeof((({struct} *)0)->{field}));"
            for field in re.findall(r"(\w+);", body[1])
        ]
        prints.append('puts("");')
    folder = tmp_path_factory.mktemp("layouts")
    source, program = folder / "layouts.c", folder / "layouts"
    source.write_text(
        f'#include <stdio.h>\n#include "{FOLDER / "uplink.h"}"\n'
        f"int main(void) {{ {' '.join(prints)} return 0; }}\n"
    )
    compiler = find_cc()
    assert compiler
    subprocess.run([*shlex.split(compiler), str(source), "-o", str(program)], check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    layouts = {}
    for line in said.splitlines():
        name, size, *rest = line.split()
        fields = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        layouts[name] = [
            ("", [int(size)]),
            *((field, [int(offset), int(width)]) for field, offset, width in fields),
        ]
    return layouts


def test_the_bridge_the_header_and_uplink_python_have_the_same_structures() -> None:
    assert len(C_STRUCTS) == 15
    assert set(OURS) == set(THEIRS) == set(C_STRUCTS)


@pytest.mark.parametrize("name", C_STRUCTS)
def test_a_structure_is_laid_out_as_uplink_python_has_it(
    name: str, compiled: dict[str, Layout]
) -> None:
    assert compiled[name] == _layout(THEIRS[name])
    assert compiled[name] == _layout(OURS[name])


def test_codes_are_those_uplink_python_knows() -> None:
    for name, code in vars(uplink_python.errors).items():
        if name.startswith("ERROR_") and name != "ERROR_LIBUPLINK_SO_NOT_FOUND":
            assert ENUMERATORS[f"UPLINK_{name}"] == code


def test_codes_of_ours_are_beyond_libuplinkcs() -> None:
    assert len(set(ENUMERATORS.values())) == len(ENUMERATORS)
    for name, code in ENUMERATORS.items():
        assert (code >= 0x100) == name.startswith("BRIDGE_")


def test_sentences_are_for_codes_there_are() -> None:
    assert set(refusals.SENTENCES) < set(ENUMERATORS.values())


CONTROL = {
    *("access_override_encryption_key", "access_satellite_address", "access_serialize"),
    *("access_share", "bucket_iterator_err", "bucket_iterator_item", "bucket_iterator_next"),
    *("close_project", "config_open_project", "config_request_access_with_passphrase"),
    *("create_bucket", "delete_bucket", "delete_bucket_with_objects", "derive_encryption_key"),
    *("ensure_bucket", "free_access_result", "free_bucket", "free_bucket_iterator"),
    *("free_bucket_result", "free_encryption_key_result", "free_error", "free_project_result"),
    *("free_string_result", "list_buckets", "open_project", "parse_access"),
    *("request_access_with_passphrase", "revoke_access", "stat_bucket"),
}
"""What the library has of libuplinkc: all but objects, which are the data plane's."""


def test_the_library_has_what_uplink_python_calls_but_for_objects() -> None:
    called = {
        name
        for module in (uplink_python.uplink, uplink_python.access, uplink_python.project)
        for name in re.findall(r"m_libuplink\.\\?\s*uplink_(\w+)", inspect.getsource(module))
    }
    assert "parse_access" in called
    assert {name for name in called if "object" not in name} <= CONTROL
    library = load()
    for name in CONTROL:
        assert hasattr(library, f"uplink_{name}")
    for name in called - CONTROL:
        assert not hasattr(library, f"uplink_{name}")
