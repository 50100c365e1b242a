"""Sealed bytes as text: one text for given bytes, and no other opens."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.crypto import text
from bridge.crypto.errors import Tampered


@given(raw=st.binary(max_size=200))
def test_it_is_base64url_without_padding(raw: bytes) -> None:
    assert text.encode(raw) == urlsafe_b64encode(raw).decode().rstrip("=")
    assert text.decode(text.encode(raw)) == raw


@given(found=st.text(max_size=40))
def test_what_opens_is_what_would_be_written(found: str) -> None:
    try:
        raw = text.decode(found)
    except Tampered:
        return
    assert text.encode(raw) == found


@pytest.mark.parametrize(
    "wrong",
    ["A", "AB", "AAB", "AAAAA", "AA==", "AA=", "A A", "AA\n", "A+", "//8", "\u00c4A", "\0\0"],
)
def test_no_other_text_is_taken(wrong: str) -> None:
    with pytest.raises(Tampered):
        text.decode(wrong)
