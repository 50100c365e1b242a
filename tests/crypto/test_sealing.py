"""XAES-256-GCM: the vectors of its specification (https://c2sp.org/XAES-256-GCM)."""

from __future__ import annotations

import hashlib
import threading

import pytest

from bridge.crypto.errors import Tampered
from bridge.crypto.sealing import Xaes

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
PLAIN = b"XAES-256-GCM"

VECTORS = [
    (b"\1" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
    (
        b"\3" * 32,
        b"c2sp.org/XAES-256-GCM",
        "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
    ),
]
"""Two, since the most significant bit of AES(key, 0) is clear for the one and set for the other."""


@pytest.mark.parametrize(("key", "aad", "sealed"), VECTORS, ids=["msb clear", "msb set"])
def test_a_vector_of_the_specification_seals_and_opens(key: bytes, aad: bytes, sealed: str) -> None:
    assert Xaes(key).seal(NONCE, PLAIN, aad).hex() == sealed
    assert Xaes(key).open(NONCE, bytes.fromhex(sealed), aad) == PLAIN


@pytest.mark.parametrize(
    ("rounds", "digest"),
    [
        (10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"),
        pytest.param(
            1_000_000,
            "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15",
            marks=[pytest.mark.long, pytest.mark.timeout(600)],
        ),
    ],
)
def test_many_random_messages_accumulate_to_the_specification_s_digest(
    rounds: int, digest: str
) -> None:
    largest = 32 + 24 + 2 + 2 * 255
    stream = memoryview(hashlib.shake_128().digest(rounds * largest))
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return bytes(stream[at - size : at])

    sealed = hashlib.shake_128()
    for _ in range(rounds):
        cipher, nonce = Xaes(take(32)), take(24)
        plain, aad = take(take(1)[0]), take(take(1)[0])
        message = cipher.seal(nonce, plain, aad)
        assert cipher.open(nonce, message, aad) == plain
        sealed.update(message)
    assert sealed.hexdigest(32) == digest


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(31), bytes(33)])
def test_a_key_of_another_size_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError):
        Xaes(key)


def test_a_nonce_of_another_size_is_refused() -> None:
    for nonce in (b"", bytes(12), bytes(23), bytes(25)):
        with pytest.raises(ValueError):
            Xaes(bytes(32)).seal(nonce, b"", b"")


def test_what_is_too_short_for_a_tag_is_tampered() -> None:
    for size in range(17):
        with pytest.raises(Tampered):
            Xaes(bytes(32)).open(NONCE, bytes(size), b"")


def test_threads_share_a_key() -> None:
    cipher = Xaes(b"\1" * 32)
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(300):
            nonce = number.to_bytes(12, "big") + turn.to_bytes(12, "big")
            if cipher.open(nonce, cipher.seal(nonce, PLAIN, b""), b"") != PLAIN:
                wrong.append(turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
