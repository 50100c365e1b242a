"""Who is let in."""

from __future__ import annotations

import pytest

from bridge.tenants.api import Authenticator, Credential, Tenant
from bridge.tenants.configured import ConfiguredCredential, new_secret

CREDENTIAL = Credential(Tenant("anna"))


@pytest.fixture
def authenticator() -> Authenticator:
    return ConfiguredCredential(CREDENTIAL, "correct")


def test_name_and_secret_open_the_credential(authenticator: Authenticator) -> None:
    assert authenticator.authenticate("anna", "correct", "192.0.2.1") == CREDENTIAL


@pytest.mark.parametrize(
    ("username", "secret"),
    [("anna", ""), ("anna", "Correct"), ("anna", "correct "), ("bert", "correct"), ("", "correct")],
)
def test_nothing_else_does(authenticator: Authenticator, username: str, secret: str) -> None:
    assert authenticator.authenticate(username, secret, "192.0.2.1") is None


def test_text_that_is_no_unicode_is_refused_like_any_other(authenticator: Authenticator) -> None:
    assert authenticator.authenticate("anna", "\udcff", "192.0.2.1") is None


def test_made_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(secret) for secret in made} == {24}


def test_no_secret_shows_in_a_repr(authenticator: Authenticator) -> None:
    assert "correct" not in repr(authenticator)
    assert "correct" not in repr(vars(authenticator))
