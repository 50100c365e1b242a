"""Bodies: any content, written in any pieces, read in any ranges; and a stock age file."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.crypto import age
from bridge.crypto.body import (
    CHUNK,
    HEADER_SIZE,
    SEALED_CHUNK,
    chunks,
    plain_size,
    sealed_size,
    span,
)
from bridge.crypto.errors import Tampered
from bridge.crypto.keyring import Keyring
from bridge.crypto.vault import VaultKeys
from tests.crypto import reader
from tests.crypto.sample import SIZES, content, new_vault, seal
from tests.tools import require_tool

KEYS = new_vault()
LARGEST = 5 * CHUNK + 1
_SEALER, STORED = seal(KEYS, content(LARGEST))
OPENER = KEYS.body_opener(_SEALER.file_key, _SEALER.payload_nonce, LARGEST)

near_boundaries = st.builds(
    lambda chunk, away: max(0, min(LARGEST, chunk * CHUNK + away)),
    st.integers(0, 5),
    st.integers(-2, 2) | st.integers(-CHUNK, CHUNK),
)


@settings(max_examples=60, deadline=None)
@given(size=near_boundaries, cuts=st.lists(near_boundaries, max_size=6))
def test_content_written_in_any_pieces_is_sealed_the_same_way(size: int, cuts: list[int]) -> None:
    plain = content(size)
    sealer = KEYS.new_body()
    edges = sorted({0, size, *(cut for cut in cuts if cut < size)})
    stored = bytearray(sealer.header)
    for start, end in pairwise(edges):
        stored += sealer.update(memoryview(plain)[start:end])
    stored += sealer.finish()
    assert sealer.size == size
    assert len(stored) == HEADER_SIZE + sealed_size(size) == 528 + size + 16 * max(1, chunks(size))
    opener = KEYS.body_opener(sealer.file_key, sealer.payload_nonce, size)
    assert opener.open(memoryview(stored)[HEADER_SIZE:], 0) == plain


@settings(max_examples=200, deadline=None)
@given(offset=near_boundaries, length=near_boundaries)
def test_any_range_opens_from_the_chunks_that_hold_it_alone(offset: int, length: int) -> None:
    wanted = span(offset, length, LARGEST)
    piece = STORED[wanted.sealed_offset : wanted.sealed_offset + wanted.sealed_length]
    assert len(piece) == wanted.sealed_length
    if wanted.take == 0:
        assert piece == b""
        return
    plain = OPENER.open(piece, wanted.first_chunk)
    expected = content(LARGEST)[offset : offset + length]
    assert plain[wanted.skip : wanted.skip + wanted.take] == expected
    assert wanted.skip < CHUNK
    assert len(plain) <= CHUNK * (-(-(wanted.skip + wanted.take) // CHUNK))


@pytest.mark.parametrize("size", SIZES)
def test_every_range_near_a_boundary_is_right(size: int) -> None:
    sealer, stored = seal(KEYS, content(size))
    opener = KEYS.body_opener(sealer.file_key, sealer.payload_nonce, size)
    edges = sorted(
        edge
        for base in range(0, size + CHUNK, CHUNK)
        for edge in (base - 1, base, base + 1, size - 1, size)
        if 0 <= edge <= size
    )
    for start in edges:
        for end in edges:
            if start < end:
                wanted = span(start, end - start, size)
                at = wanted.sealed_offset
                plain = opener.open(stored[at : at + wanted.sealed_length], wanted.first_chunk)
                there = plain[wanted.skip : wanted.skip + wanted.take]
                assert there == content(size)[start:end]


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_reckoned_both_ways(size: int) -> None:
    assert plain_size(sealed_size(size)) == size


@given(size=st.integers(0, 1 << 62))
def test_sizes_are_reckoned_both_ways_however_large(size: int) -> None:
    assert plain_size(sealed_size(size)) == size


@pytest.mark.parametrize(
    "sealed", [0, 1, 15, SEALED_CHUNK + 1, SEALED_CHUNK + 16, 2 * SEALED_CHUNK + 7]
)
def test_a_size_that_no_content_has_is_refused(sealed: int) -> None:
    with pytest.raises(Tampered):
        plain_size(sealed)


def test_a_range_past_the_end_is_cut_and_one_beyond_it_reads_nothing() -> None:
    assert span(LARGEST - 1, 100, LARGEST).take == 1
    assert span(LARGEST, 1, LARGEST).sealed_length == 0
    assert span(LARGEST + CHUNK, 1, LARGEST).sealed_length == 0
    assert span(0, 0, 0).sealed_length == 0


def test_a_finished_body_takes_nothing_more() -> None:
    """A further chunk would be sealed under a nonce that has served already."""
    sealer = KEYS.new_body()
    sealer.update(b"x")
    sealer.finish()
    with pytest.raises(ValueError):
        sealer.update(b"y")
    with pytest.raises(ValueError):
        sealer.finish()


def test_every_body_has_a_key_and_a_nonce_of_its_own() -> None:
    sealers = [KEYS.new_body() for _ in range(50)]
    assert len({sealer.file_key for sealer in sealers}) == 50
    assert len({sealer.payload_nonce for sealer in sealers}) == 50
    assert len({sealer.header for sealer in sealers}) == 50


def test_no_content_is_not_taken_for_an_empty_chunk() -> None:
    sealer, _ = seal(KEYS, b"")
    with pytest.raises(Tampered):
        KEYS.body_opener(sealer.file_key, sealer.payload_nonce, 0).open(b"", 0)


@pytest.mark.parametrize("first", [-1, 6, 7, 1 << 90])
def test_a_chunk_that_is_not_there_is_refused(first: int) -> None:
    with pytest.raises(Tampered):
        OPENER.open(STORED[HEADER_SIZE : HEADER_SIZE + SEALED_CHUNK], first)


@pytest.mark.parametrize("size", SIZES)
def test_a_body_is_an_age_file_for_the_recovery_identity(size: int) -> None:
    identity, recipient = age.generate_identity()
    _, stored = seal(VaultKeys(Keyring.generate("tenant", recipient)), content(size))
    assert reader.age_open(stored, reader.with_identity(identity)) == content(size)


@pytest.mark.parametrize("size", SIZES)
def test_the_stock_tool_opens_a_body_with_the_recovery_identity(tmp_path: Path, size: int) -> None:
    tool = require_tool("age")
    identity, recipient = age.generate_identity()
    (tmp_path / "identity").write_text(identity)
    _, stored = seal(VaultKeys(Keyring.generate("tenant", recipient)), content(size))
    done = subprocess.run(
        [tool, "-d", "-i", str(tmp_path / "identity")],
        input=stored,
        capture_output=True,
        check=True,
    )
    assert done.stdout == content(size)
