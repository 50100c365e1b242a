"""Documents that must agree with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.cli import main
from bridge.cli.output import Exit
from bridge.settings import Address, Settings

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")])


def settings_told() -> dict[str, str]:
    """Every ``table.key`` of docs/configuration.md with its default as it stands there."""
    told = {}
    table = ""
    for line in (ROOT / "docs" / "configuration.md").read_text().splitlines():
        if line.startswith("## "):
            heading = re.fullmatch(r"## `\[(\w+)\]`", line)
            table = heading[1] if heading else ""
        row = re.match(r"\| `(\w+)` \| (.*?) \| .*\|$", line)
        if table and row:
            told[f"{table}.{row[1]}"] = row[2]
    return told


def as_told(field: FieldInfo) -> str:
    """A default as the document writes it: in TOML, or a word where there is none."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, Address):
        return f'`"{field.default}"`'
    return f"`{json.dumps(field.default)}`"


def settings_known() -> dict[str, str]:
    """Every ``table.key`` of the settings with its default."""
    known: dict[str, str] = {}
    for table, field in Settings.model_fields.items():
        model = field.annotation
        if optional := get_args(model):
            model = optional[0]
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        known |= {f"{table}.{key}": as_told(each) for key, each in model.model_fields.items()}
    return known


def plain(default: str) -> object:
    """A default to compare by: numbers by value, so that 20 is 20.0."""
    try:
        return json.loads(default.strip("`"))
    except ValueError:
        return default


def test_the_configuration_document_tells_every_setting_with_its_default() -> None:
    told = {key: plain(default) for key, default in settings_told().items()}
    assert told == {key: plain(default) for key, default in settings_known().items()}


def commands(group: click.Group, name: str = "") -> dict[str, click.Command]:
    """Every command by its name, those of groups after their group's."""
    found: dict[str, click.Command] = {}
    for word, command in group.commands.items():
        whole = f"{name} {word}".strip()
        inner = commands(command, whole) if isinstance(command, click.Group) else {whole: command}
        found |= inner
    return found


def test_the_commands_document_tells_every_command_with_its_options() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    known = commands(main)
    rows = {}
    for row in re.findall(r"^\| `([a-z][^`]*)` \|", text, re.MULTILINE):
        words = row.split()
        name = " ".join(words[:2]) if words[0] not in known else words[0]
        rows[name] = row
    assert rows.keys() == known.keys()
    for name, command in known.items():
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option) and parameter.name != "as_json"
            for option in parameter.opts
            if option.startswith("--")
        }
        assert set(re.findall(r"--[a-z-]+", rows[name])) == options, name


def test_the_commands_document_tells_every_exit_code() -> None:
    text = (ROOT / "docs" / "cli.md").read_text().partition("## Exit codes")[2]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert codes == {*Exit, 130}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_documents_link_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_documents_name_are_there(document: Path) -> None:
    named = re.findall(r"`((?:bridge|tests|bench|docs)/[\w./-]+)`", document.read_text())
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == []
