"""What every command says with ``--json``: one JSON object, also where it could do nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from tests.cli.service import Configured
from tests.processes import bridge_command, clean_environment, run_bridge


def commands(
    group: click.Group = main, *above: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands that do something, with the words that name them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield (*above, name), command


COMMANDS = dict(commands())
NAMES = [" ".join(words) for words in COMMANDS]


def arguments(name: str) -> list[str]:
    """As many as the command must have."""
    params = COMMANDS[tuple(name.split())].params
    return ["1" for each in params if isinstance(each, click.Argument) and each.required]


def run(name: str, *words: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [*name.split(), *map(str, words)], input=stdin)


def error(done: Result) -> tuple[int, str]:
    """The code and message of a failure, which is all that is on standard output."""
    told = json.loads(done.stdout)
    assert list(told) == ["error"]
    assert told["error"]["code"] == done.exit_code
    return done.exit_code, told["error"]["message"]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_json(name: str) -> None:
    text = run(name, "--help").output
    assert "--json" in text
    assert len(text.splitlines()) > 6


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_told_as_json(name: str) -> None:
    for words in (["--bogus", "--json"], ["--json", "--bogus"]):
        code, message = error(run(name, *words))
        assert code == 2
        assert "--bogus" in message
    done = run(name, "--bogus")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--bogus" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_and_what_is_too_much_are_told_as_json(name: str) -> None:
    many = [*arguments(name), "2", "3"]
    assert error(run(name, "--json", *many))[0] == 2
    if arguments(name):
        code, message = error(run(name, "--json", "--config", "none.toml"))
        assert code == 2
        assert "Missing" in message


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"check", "demo", "init"}))
def test_a_configuration_that_is_not_there_is_told_as_json(name: str, tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    code, message = error(run(name, "--config", file, "--json", *arguments(name)))
    assert code == 3
    assert f"{file}: cannot be read" in message


@pytest.mark.parametrize("words", ["--json", "nosuch --json", "tenant --json", "tenant no --json"])
def test_an_unknown_command_is_told_as_json(words: str) -> None:
    assert error(run(words))[0] == 2


def test_what_init_and_demo_cannot_write_is_told_as_json(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert error(run("init", "--config", tmp_path / "file" / "x", "--json"))[0] == 3
    assert error(run("demo", "--data", tmp_path / "file" / "x", "--json"))[0] == 5


def test_a_demo_whose_token_cannot_be_read_says_so_as_json(tmp_path: Path) -> None:
    (tmp_path / "data" / "admin-token").mkdir(parents=True)
    words = ["--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--json"]
    ended = run_bridge("demo", *words)
    assert ended.returncode == 5
    assert json.loads(ended.stdout)["error"]["code"] == 5
    assert "Traceback" not in ended.stderr


def test_what_follows_two_dashes_is_no_option() -> None:
    done = run("tenant", "nosuch", "--", "--json")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Configured:
    return Configured(tmp_path_factory.mktemp("json") / "bridge")


NOT_THERE = [
    "tenant show nosuch",
    "tenant quota nosuch 5GB",
    "tenant suspend nosuch",
    "tenant resume nosuch",
    "tenant delete nosuch --yes",
    "credential create nosuch",
    "credential list nosuch",
    "credential revoke nosuch",
    "credential revoke main nosuch",
    "token create label --tenant nosuch",
    "token revoke nosuch",
    "usage nosuch",
    "keys rotate-tenant nosuch",
    "fsck --tenant nosuch",
    "export --tenant nosuch TARGET",
]


@pytest.mark.parametrize("words", NOT_THERE)
def test_what_is_not_there_has_one_exit_code(
    configured: Configured, words: str, tmp_path: Path
) -> None:
    given = words.replace("TARGET", str(tmp_path / "target"))
    done = run(given, "--config", configured.file, "--json")
    code, message = error(done)
    assert code == 6
    assert "nosuch" in message
    in_words = run(given, "--config", configured.file)
    assert in_words.exit_code == 6
    assert in_words.stderr == f"storj-bridge: {message}\n"


@pytest.mark.parametrize(
    "words",
    [
        "tenant create main",
        "tenant create Not-A-Name",
        "tenant create acme --bucket elsewhere",
        "tenant delete main --yes",
        "credential create main",
        "credential create main x --root relative",
        "credential revoke main",
        "token create label --expires 2001-01-01",
        "usage --first yesterday",
    ],
)
def test_what_cannot_be_has_one_exit_code(configured: Configured, words: str) -> None:
    assert error(run(words, "--config", configured.file, "--json"))[0] == 7


def test_one_form_of_usage_is_to_be_chosen(configured: Configured) -> None:
    code, message = error(run("usage --csv --json", "--config", configured.file))
    assert code == 2
    assert "--csv or --json" in message


def test_a_question_answered_with_no_is_told_as_json(configured: Configured) -> None:
    assert run("tenant create asked", "--config", configured.file).exit_code == 0
    done = run("tenant delete asked --json", "--config", configured.file, stdin="n\n")
    assert error(done) == (1, "nothing was done")
    done = run("tenant delete asked", "--config", configured.file, stdin="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert run("tenant show asked", "--config", configured.file).exit_code == 0


def test_a_grant_that_is_no_text_is_told_as_json(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "grant").write_bytes(b"\xff\xfe\x00")
    for option in ("--root-grant-file", "--own-grant-file"):
        words = ["--config", configured.file, option, tmp_path / "grant", "--json"]
        code, message = error(run("tenant create acme", *words))
        assert code == 2
        assert "not an access grant" in message
        words[3] = tmp_path
        assert error(run("tenant create acme", *words))[0] == 2


def test_an_interrupted_command_says_so_as_json(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bridge.toml")  # who reads it waits for who writes
    arguments = ["tenant", "list", "--config", str(tmp_path / "bridge.toml"), "--json"]
    with (
        subprocess.Popen(
            bridge_command(*arguments),
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        (tmp_path / "bridge.toml").open("w"),
    ):
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(output)["error"] == {"code": 130, "message": "interrupted"}
    assert errors == ""


def test_a_whole_process_tells_as_json_too() -> None:
    ended = run_bridge("serve", "--bogus", "--json")
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["code"] == 2
    assert ended.stderr == ""
