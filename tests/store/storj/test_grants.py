"""Cutting the grants of tenants and credentials, without a network."""

from __future__ import annotations

import pytest

from bridge.store.storj.access import Access
from bridge.store.storj.facts import ALL, READ, Permission, Place
from bridge.store.storj.grants import credential_grant, recovery_grant, tenant_grant
from bridge.store.storj.refusals import GrantError
from tests.store.storj.grants import ENCRYPTION_KEY, encryption_keys, field, grant

pytestmark = pytest.mark.usefixtures("nothing_left")

VAULT, SEALED = Place("photos", "t1/"), Place("photos", ".bridge/t1/")
NULL_CIPHER, AES_GCM = 1, 2


def _tenant() -> str:
    return tenant_grant(Access.parse(grant()), "photos", "t1/", ".bridge/t1/")


def test_a_tenants_grant_reaches_its_two_folders_with_all_permissions() -> None:
    facts = Access.parse(_tenant()).facts
    assert facts.places == (VAULT, SEALED)
    assert facts.permission == ALL
    assert facts.not_after is facts.not_before is None
    assert facts.unfit([VAULT, SEALED], 0) is None


def test_each_tenant_has_a_new_key_for_its_vault_and_the_projects_for_the_rest() -> None:
    first, second = encryption_keys(_tenant()), encryption_keys(_tenant())
    assert set(first) == set(second) == {("photos", "t1"), ("photos", ".bridge/t1")}
    plain = Access.parse(grant()).share(ALL, [VAULT, SEALED]).serialize()
    assert len({keys["photos", "t1"] for keys in (first, second, encryption_keys(plain))}) == 3
    assert first["photos", ".bridge/t1"] == second["photos", ".bridge/t1"]
    assert first["photos", ".bridge/t1"] == encryption_keys(plain)["photos", ".bridge/t1"]


def test_a_grant_that_follows_another_takes_its_key_over_the_vault_and_nothing_else() -> None:
    former = Access.parse(_tenant())
    theirs = encryption_keys(former.serialize())
    key = theirs["photos", "t1"]
    roots = (grant(), former.share(ALL, None).serialize(), grant(encryption=field(1, b"k" * 32)))
    for number, root in enumerate(roots):
        text = tenant_grant(Access.parse(root), "photos", "t1/", ".bridge/t1/", former=former)
        facts = Access.parse(text).facts
        assert (facts.places, facts.permission) == ((VAULT, SEALED), ALL)
        assert set(encryption_keys(text)) == {("photos", "t1"), ("photos", ".bridge/t1")}
        assert encryption_keys(text)["photos", "t1"] == key
        sealed = encryption_keys(text)["photos", ".bridge/t1"]
        assert (sealed == theirs["photos", ".bridge/t1"]) == (number < 2)  # the root's own key
        cut = credential_grant(Access.parse(text), [VAULT], READ)
        assert encryption_keys(cut) == {("photos", "t1"): key}


def test_a_key_is_taken_only_from_who_has_one_for_the_place() -> None:
    root = Access.parse(grant())
    other = root.share(ALL, [Place("photos", "t2/")])
    with pytest.raises(GrantError):
        root.with_key_of(other, VAULT)
    for wrong in (
        Place("photos"),
        Place("photos", "t1"),
        Place("photos", "t\0/"),
        Place("", "t1/"),
    ):
        with pytest.raises(GrantError):
            root.with_key_of(root, wrong)


def test_a_root_that_does_not_reach_so_far_cuts_no_tenant() -> None:
    for place in (Place("photos", "t1/"), Place("albums")):
        root = Access.parse(grant()).share(ALL, [place])
        with pytest.raises(GrantError, match="does not reach"):
            tenant_grant(root, "photos", "t1/", ".bridge/t1/")


def test_a_root_that_leaves_keys_unencrypted_cuts_no_tenant() -> None:
    """The satellite would take what begins with t1 for what is below t1/."""
    null = field(1, ENCRYPTION_KEY) + field(3, NULL_CIPHER)
    root = Access.parse(grant(encryption=null))
    assert not root.facts.encrypts_keys
    assert not root.share(ALL, [Place("photos")]).facts.encrypts_keys
    with pytest.raises(GrantError, match="unencrypted"):
        tenant_grant(root, "photos", "t1/", ".bridge/t1/")
    assert Access.parse(grant()).facts.encrypts_keys
    assert Access.parse(_tenant()).facts.encrypts_keys


def test_a_credentials_grant_has_its_rights_and_time_and_the_key_of_its_place_alone() -> None:
    text = _tenant()
    permission = Permission(upload=True, list=True)
    cut = credential_grant(Access.parse(text), [VAULT], permission, 1_800_000_000.9)
    facts = Access.parse(cut).facts
    assert facts.places == (VAULT,)
    assert facts.permission == permission
    assert facts.not_after == 1_800_000_000
    assert encryption_keys(cut) == {("photos", "t1"): encryption_keys(text)["photos", "t1"]}


def test_no_two_cuts_are_the_same() -> None:
    tenant = Access.parse(_tenant())
    assert len({credential_grant(tenant, [VAULT], READ) for _ in range(20)}) == 20
    assert len({recovery_grant(tenant, "photos", "t1/") for _ in range(20)}) == 20


def test_a_credential_has_no_more_than_its_tenant() -> None:
    tenant = Access.parse(_tenant())
    for place in (Place("photos"), Place("photos", "t2/"), Place("photos", ".bridge/t2/")):
        with pytest.raises(GrantError, match="does not reach"):
            credential_grant(tenant, [place], ALL)
    with pytest.raises(GrantError, match="permission is empty"):
        credential_grant(tenant, [VAULT], Permission())


def test_a_grant_is_known_again_by_its_api_key_whatever_its_text() -> None:
    tenant = Access.parse(_tenant())
    again = [Access.parse(tenant.serialize()).facts.key_id for _ in range(5)]
    assert set(again) == {tenant.facts.key_id}
    others = {Access.parse(recovery_grant(tenant, "photos", "t1/")).facts.key_id for _ in range(5)}
    assert len(others | set(again)) == 6
    assert tenant.facts.key_id not in tenant.serialize()


def test_a_recovery_grant_reads_the_vault_and_nothing_else_for_ever() -> None:
    facts = Access.parse(recovery_grant(Access.parse(_tenant()), "photos", "t1/")).facts
    assert (facts.permission, facts.places, facts.not_after) == (READ, (VAULT,), None)
