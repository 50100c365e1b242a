"""What people write in a configuration, and what they are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.settings import Address, Settings, SettingsError, load

LEAST = '[store]\npath = "objects"\n[state]\npath = "state.db"\n'


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("STORJ_BRIDGE_"):
            monkeypatch.delenv(name)


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "bridge.toml"
    file.write_text(text)
    return load(file)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    return caught.value.problems


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST)
    assert settings.store.path == tmp_path / "objects"
    assert settings.state.path == tmp_path / "state.db"


def test_an_unknown_key_names_itself_its_file_and_the_nearest_known_one(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, LEAST + '[listen]\nadress = "127.0.0.1:1"\n')
    assert problem == f"{tmp_path}/bridge.toml: listen.adress: unknown key (did you mean address?)"


def test_an_unknown_table_is_an_error(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, LEAST + "[listn]\n")
    assert "listn: unknown key (did you mean listen?)" in problem


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path, LEAST + '[limits]\nupload_bytes = 0\nqueue = "many"\n[log]\nlevel = "x"\n'
    )
    assert [p.split(": ")[1] for p in found] == ["limits.upload_bytes", "limits.queue", "log.level"]


def test_an_unknown_variable_of_the_environment_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE_LISTEN__ADRESS", "127.0.0.1:1")
    (problem,) = problems(tmp_path, LEAST)
    assert problem.startswith("environment: STORJ_BRIDGE_LISTEN__ADRESS: unknown key")
    monkeypatch.delenv("STORJ_BRIDGE_LISTEN__ADRESS")
    monkeypatch.setenv("STORJ_BRIDGE_LISTN__ADDRESS", "127.0.0.1:1")
    (problem,) = problems(tmp_path, LEAST)
    assert "unknown table [listn] (did you mean listen?)" in problem


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("STORJ_BRIDGE_SERVICE_PORT_HTTP", "8080")
    assert read(tmp_path, LEAST).listen.address == Address("127.0.0.1", 8080)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE_LISTEN__ADDRESS", "[::1]:9")
    monkeypatch.setenv("STORJ_BRIDGE_LISTEN__TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    settings = read(tmp_path, LEAST + '[listen]\naddress = "127.0.0.1:1"\nwebdav_path = "/f"\n')
    assert settings.listen.address == Address("::1", 9)
    assert settings.listen.webdav_path == "/f/"
    assert [str(network) for network in settings.listen.trusted_proxies] == [
        "10.0.0.0/8",
        "127.0.0.1/32",
    ]


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, LEAST + '[keys]\nkek = "hush-hush"\n')
    assert "keys.kek_file" in problem
    assert "STORJ_BRIDGE_KEYS__KEK" in problem
    assert "hush" not in problem


def test_the_state_is_in_one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = '[store]\npath = "objects"\n[state]\n'
    settings = read(tmp_path, store + 'url_file = "state.url"\n')
    assert settings.state.url_file == tmp_path / "state.url"
    for keys in ("", 'path = "s"\nurl_file = "u"\n'):
        (problem,) = problems(tmp_path, store + keys)
        assert "state: the state is in one database" in problem
    (problem,) = problems(tmp_path, store + 'url = "postgresql://u:hush@h/d"\n')
    assert "state.url_file" in problem
    assert "hush" not in problem
    monkeypatch.setenv("STORJ_BRIDGE_STATE__URL", "postgresql://u:hush@h/d")
    settings = read(tmp_path, store)
    assert settings.state.url is not None
    assert settings.state.url.get_secret_value() == "postgresql://u:hush@h/d"
    assert "hush" not in repr(settings)
    (problem,) = problems(tmp_path, store + 'path = "s"\n')
    assert "hush" not in problem


def test_secrets_do_not_show_in_a_repr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE_KEYS__KEK", "hush-hush")
    monkeypatch.setenv("STORJ_BRIDGE_TENANT__SECRET", "hush-hush")
    settings = read(tmp_path, LEAST)
    assert settings.keys.kek is not None
    assert settings.keys.kek.get_secret_value() == "hush-hush"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:80", "[::]:80", "files.example.com:80", "10.0.0.1:80"]
)
def test_it_listens_beyond_loopback_only_with_tls_or_at_a_named_risk(
    tmp_path: Path, address: str
) -> None:
    listen = f'[listen]\naddress = "{address}"\n'
    (problem,) = problems(tmp_path, LEAST + listen)
    assert "allow_passwords_in_clear_text_over_the_network" in problem
    tls = '[tls]\ncertificate = "c.pem"\nkey = "k.pem"\n'
    assert read(tmp_path, LEAST + listen + tls).tls.certificate == tmp_path / "c.pem"
    risk = "allow_passwords_in_clear_text_over_the_network = true\n"
    assert str(read(tmp_path, LEAST + listen + risk).listen.address) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[listen]\naddress = "here"\n', "is not HOST:PORT"),
        ('[listen]\naddress = "::1:80"\n', "brackets"),
        ('[listen]\naddress = "127.0.0.1:70000"\n', "is not a port"),
        ('[listen]\npublic_url = "files.example.com"\n', "begins with http"),
        ('[listen]\npublic_url = "https://u:p@example.com/"\n', "no query, fragment, user"),
        ('[listen]\npublic_url = "https://example.com/dav"\n', "choose another webdav_path"),
        ('[listen]\npublic_url = "https://example.com/dav/x"\n', "choose another webdav_path"),
        ('[listen]\nwebdav_path = "dav"\n', "begins with /"),
        ('[listen]\nwebdav_path = "/"\n', "a path of their own"),
        ('[listen]\ntrusted_proxies = ["proxy"]\n', "not a valid IPv4 or IPv6 network"),
        ('[tls]\ncertificate = "c.pem"\n', "both certificate and key"),
        ('[tenant]\nid = "Not An Id"\n', "tenant.id"),
    ],
)
def test_a_bad_value_is_explained(tmp_path: Path, text: str, words: str) -> None:
    (problem,) = problems(tmp_path, LEAST + text)
    assert words in problem


def test_what_several_keys_are_wrong_together_in_is_told_without_a_place(tmp_path: Path) -> None:
    fixed = {
        "listen": {"address": "0.0.0.0:1"},
        "store": {"path": tmp_path},
        "state": {"path": tmp_path / "state.db"},
    }
    with pytest.raises(SettingsError) as caught:
        load(None, fixed)
    assert caught.value.problems[0].startswith("listen.address 0.0.0.0:1 can be reached")


def test_a_file_that_is_missing_or_no_toml_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (problem,) = problems(tmp_path, "[store\n")
    assert "not valid TOML" in problem


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == [
        f"{tmp_path}/bridge.toml: store: missing",
        f"{tmp_path}/bridge.toml: state: missing",
    ]
    assert "the local store needs a path" in problems(tmp_path, "[store]\n[state]\npath='s'\n")[0]
