"""What the API takes for a name is what the service takes for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis.strategies import from_regex, one_of, text

from bridge.admin.values import CREDENTIAL, LABEL, TENANT
from bridge.tenants import service

ALIKE = {
    "tenants": (re.compile(TENANT), service._TENANT_ID),
    "labels": (re.compile(LABEL), re.compile(rf"({service._LABEL.pattern})?")),
}


@pytest.mark.parametrize(("ours", "theirs"), ALIKE.values(), ids=ALIKE)
def test_names_are_the_services(ours: re.Pattern[str], theirs: re.Pattern[str]) -> None:
    whole = re.compile(ours.pattern.strip("^$"))

    @given(one_of(text(), from_regex(whole, fullmatch=True), from_regex(theirs, fullmatch=True)))
    def check(name: str) -> None:
        assert bool(whole.fullmatch(name)) is bool(theirs.fullmatch(name))

    check()


@given(from_regex(re.compile(TENANT)), from_regex(re.compile(LABEL)))
def test_every_user_name_can_stand_in_a_path(tenant: str, label: str) -> None:
    tenant, label = tenant.rstrip("\n"), label.rstrip("\n")
    name = f"{tenant}.{label}" if label else tenant
    assert re.fullmatch(CREDENTIAL.strip("^$"), name)
