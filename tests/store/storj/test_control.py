"""Grants without a network: read, told, narrowed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from bridge.store.storj.access import GRANT_LIMIT, Access, EncryptionKey
from bridge.store.storj.facts import ALL, READ, Facts, Permission, Place
from bridge.store.storj.refusals import GrantError, NotAGrant
from tests.store.storj import grants
from tests.store.storj.grants import api_key, base58check, encryption_keys, field, grant

pytestmark = pytest.mark.usefixtures("nothing_left")

WHOLE = grant()
DAY = 86_400
NOW = 1_800_000_000


def test_a_grant_is_read_and_given_out_as_it_was() -> None:
    assert Access.parse(f"  {WHOLE}\r\n").serialize() == WHOLE


def test_a_whole_projects_grant_says_so() -> None:
    facts = Access.parse(WHOLE).facts
    assert facts == Facts(
        satellite_id=grants.SATELLITE_ID,
        satellite_address="satellite.test:7777",
        permission=ALL,
        not_before=None,
        not_after=None,
        max_object_ttl=None,
        places=None,
    )
    assert facts.describe(NOW) == (
        f"satellite satellite.test:7777 (node id {grants.SATELLITE_ID})",
        "allows download, upload, list and delete",
        "reaches every bucket of its project",
        "does not expire",
    )


def test_a_narrowed_grant_is_told_in_words() -> None:
    places = [Place("photos", "vault/in/"), Place("other")]
    shared = Access.parse(WHOLE).share(READ, places, not_before=NOW - DAY, not_after=NOW + DAY)
    facts = Access.parse(shared.serialize()).facts
    assert facts == shared.facts
    assert facts.permission == READ
    assert facts.places == tuple(places)
    assert facts.describe(NOW)[1:] == (
        "allows download and list, but not upload and delete",
        "reaches folder vault/in/ of bucket photos and bucket other",
        "valid until 2027-01-16 08:00:00 UTC",
    )
    assert facts.validity(NOW + 2 * DAY) == "expired on 2027-01-16 08:00:00 UTC"
    assert facts.validity(NOW - 2 * DAY) == "not valid before 2027-01-14 08:00:00 UTC"


def test_a_lifetime_of_objects_is_told() -> None:
    ttl = field(22, field(1, 90))
    said = Access.parse(grant(key=api_key(ttl))).facts.describe(NOW)
    assert said[-1] == "Storj deletes each object 90 s after its upload"


def test_a_folder_the_grant_has_no_key_for_is_told() -> None:
    elsewhere = field(10, field(1, b"photos") + field(2, b"\x02not what any key makes"))
    facts = Access.parse(grant(key=api_key(elsewhere))).facts
    assert facts.places == (Place("photos", None),)
    assert facts.describe(NOW)[2] == "reaches a folder of bucket photos that it has no key for"
    assert not facts.covers(Place("photos", "vault/"))


def test_limits_that_exclude_each_other_reach_nothing() -> None:
    photos, other = (field(10, field(1, bucket)) for bucket in (b"photos", b"other"))
    facts = Access.parse(grant(key=api_key(photos, other))).facts
    assert facts.places == ()
    assert facts.describe(NOW)[2] == "reaches nothing: its limits exclude each other"


def test_sharing_only_narrows() -> None:
    first = Access.parse(WHOLE).share(READ, [Place("photos", "vault/")], not_after=NOW)
    second = first.share(ALL, [Place("photos", "vault/in/")], not_after=NOW + DAY)
    assert second.facts.permission == READ
    assert second.facts.not_after == NOW
    assert second.facts.places == (Place("photos", "vault/in/"),)
    assert first.share(ALL, None).facts.places == first.facts.places


def test_times_are_rounded_to_the_narrower_second() -> None:
    facts = Access.parse(WHOLE).share(ALL, None, not_before=NOW + 0.2, not_after=NOW + 9.9).facts
    assert (facts.not_before, facts.not_after) == (NOW + 1, NOW + 9)


def _narrowed() -> Access:
    return Access.parse(WHOLE).share(ALL, [Place("photos", "vault/")])


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (lambda: _narrowed().share(ALL, [Place("elsewhere")]), "does not reach bucket elsewhere"),
        (lambda: _narrowed().share(ALL, [Place("photos")]), "does not reach bucket photos"),
        (lambda: _narrowed().share(ALL, [Place("photos", "vaulted/")]), "does not reach"),
        (lambda: _narrowed().share(ALL, []), "no place at all"),
        (lambda: _narrowed().share(Permission(), None), "permission is empty"),
        (lambda: _narrowed().share(ALL, None, not_after=0), "between the years"),
        (lambda: _narrowed().share(ALL, None, not_after=0.5), "between the years"),
        (lambda: _narrowed().share(ALL, None, not_before=-1), "between the years"),
        (lambda: _narrowed().share(ALL, None, not_after=float("inf")), "between the years"),
        (lambda: _narrowed().share(ALL, None, not_after=float("nan")), "between the years"),
        (lambda: _narrowed().share(ALL, None, not_before=9, not_after=8), "invalid time range"),
        (lambda: Access.parse(WHOLE).share(ALL, [Place("")]), "none is named"),
        (lambda: Access.parse(WHOLE).share(ALL, [Place("b", "vault")]), "ends with a slash"),
        (lambda: Access.parse(WHOLE).share(ALL, [Place("b", None)]), "ends with a slash"),
        # In C each of these would end at the NUL, and reach more than was meant.
        (lambda: Access.parse(WHOLE).share(ALL, [Place("b", "a\0/")]), "NUL"),
        (lambda: Access.parse(WHOLE).share(ALL, [Place("b\0c")]), "NUL"),
        (lambda: EncryptionKey("pass\0word", b"salt"), "NUL"),
        (lambda: Access.parse(WHOLE).share(ALL, [Place("b", "\ud800/")]), "not Unicode"),
        (lambda: Access.parse(WHOLE).open("bridge/1 (("), "invalid user agent"),
    ],
)
def test_what_cannot_be_meant_is_refused(share: Callable[[], object], words: str) -> None:
    with pytest.raises(GrantError, match=words):
        share()


def test_a_tenants_grant_has_a_key_of_its_own_where_it_is_put_and_no_other() -> None:
    root = Access.parse(WHOLE)
    vault, sealed = Place("photos", "t1/"), Place("photos", ".bridge/t1/")
    plain = encryption_keys(root.share(ALL, [vault, sealed]).serialize())
    tenant = root.share(ALL, [vault, sealed])
    salt = b"salt of \0 bytes"
    tenant.override_encryption_key("photos", "t1/", EncryptionKey("pässword", salt))
    text = tenant.serialize()

    passphrase = "pässword".encode()  # encryption.DeriveRootKey of storj.io/common
    mixed = grants.hmac256(grants.hmac256(passphrase, salt), b"")
    derived = Argon2id(salt=mixed, length=32, iterations=1, lanes=1, memory_cost=65_536)
    assert encryption_keys(WHOLE) == {("", ""): grants.ENCRYPTION_KEY}
    assert encryption_keys(text) == plain | {("photos", "t1"): derived.derive(passphrase)}
    assert set(plain) == {("photos", "t1"), ("photos", ".bridge/t1")}

    assert Access.parse(text).facts.places == (vault, sealed)
    credential = Access.parse(text).share(READ, [vault])
    assert encryption_keys(credential.serialize()) == {
        ("photos", "t1"): encryption_keys(text)["photos", "t1"]
    }


def test_keys_stay_while_a_project_is_open() -> None:
    access = Access.parse(WHOLE)
    with access.open("test"), pytest.raises(GrantError, match="its keys stay as they are"):
        access.override_encryption_key("photos", "t1/", EncryptionKey("p", b""))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("1" * (GRANT_LIMIT + 1), "characters"),
        ("not a grant", "other characters"),
        ("1\0" + WHOLE, "other characters"),
        ("ü" + WHOLE, "other characters"),
        ("garbage", "checksum is wrong"),
        (WHOLE[::-1], "checksum is wrong"),
        (WHOLE + WHOLE, "checksum is wrong"),
        (base58check(api_key()), "is it an API key"),
        (base58check(b""), "not the content"),
        (grant(satellite=""), "not the content"),
        (grant(satellite="http://satellite.test"), "not the content"),
        (grant(satellite="satellite.test:7777"), "without that satellite's node id"),
        (grant(key=b""), "not the content"),
        (grant(key=b"\x02\x02\xff"), "not the content"),
        (grant(key=api_key(b"\xff\xff")), "limits that nobody can read"),
        (grant(encryption=field(1, b"short")), "not the content"),
        (grant(encryption=None), "not the content"),  # on which uplink panics
    ],
)
def test_what_is_not_a_grant_is_told_without_its_text(text: str, words: str) -> None:
    with pytest.raises(NotAGrant, match=words) as raised:
        Access.parse(text)
    message = str(raised.value)
    assert "panic" not in message
    assert not any(text[at : at + 8] in message for at in range(len(text) - 8))


@given(st.data())
def test_no_change_of_a_grant_goes_unseen(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(WHOLE) - 1))
    changed = WHOLE[:at] + data.draw(st.sampled_from(["", *grants.ALPHABET])) + WHOLE[at + 1 :]
    if changed == WHOLE:
        return
    with pytest.raises(NotAGrant):
        Access.parse(changed)


@given(st.binary(max_size=200))
def test_no_api_key_and_no_encryption_part_ends_the_process(garbage: bytes) -> None:
    for text in (grant(key=garbage), grant(encryption=garbage), grant(key=api_key(garbage))):
        try:
            read = Access.parse(text)
        except NotAGrant:
            continue
        read.facts.describe(NOW)
        Access.parse(read.serialize())


def test_a_grant_is_in_no_repr_and_cannot_be_copied() -> None:
    access = Access.parse(WHOLE)
    for shown in (repr(access), str(access), f"{access!r}", repr(access.facts)):
        assert WHOLE[10:30] not in shown
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(access)
