"""What can stand in a path of the API."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis.strategies import from_regex

from bridge.admin.values import CREDENTIAL
from bridge.names import LABEL, TENANT


@given(from_regex(re.compile(TENANT)), from_regex(re.compile(LABEL)))
def test_every_user_name_can_stand_in_a_path(tenant: str, label: str) -> None:
    tenant, label = tenant.rstrip("\n"), label.rstrip("\n")
    name = f"{tenant}.{label}" if label else tenant
    assert re.fullmatch(CREDENTIAL.strip("^$"), name)
