"""Firmware images: what is accepted, what is refused and why, and that nothing crashes on rubbish."""

from __future__ import annotations

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import ed25519
from firmware_bridge.image import (
    HEADER_BYTES,
    MAX_BODY,
    ImageError,
    Version,
    make_header,
    parse_image,
    parse_public_key,
    verify_image,
    version_of,
)
from firmware_bridge.simulator import Maker

BODY = b"firmware" * 100
HEADER = make_header(BODY, "simulated", Version(1, 2, 3))
GOOD = HEADER + bytes(64) + BODY

# RFC 8032 section 7.1, tests 1, 2, 3 and SHA(abc): public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_rfcs_signatures_are_good_and_any_changed_bit_makes_them_bad(key, message, signature):
    key, message, signature = (bytes.fromhex(text) for text in (key, message, signature))
    assert ed25519.verify(key, message, signature)
    assert not ed25519.verify(key, message + b"x", signature)
    for at in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not ed25519.verify(key, message, bytes(changed))


def test_a_signature_has_no_second_form():
    key, message, signature = (bytes.fromhex(text) for text in VECTORS[0])
    scalar = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    assert not ed25519.verify(key, message, signature[:32] + scalar.to_bytes(32, "little"))


@given(st.binary(max_size=40), st.binary(max_size=70))
@settings(max_examples=50, deadline=None)
def test_rubbish_for_keys_and_signatures_is_refused(key, signature):
    assert not ed25519.verify(key, b"m", signature)
    assert not ed25519.verify(key.ljust(32, b"k")[:32], b"m", signature.ljust(64, b"s")[:64])


def test_an_image_says_what_it_is():
    image = parse_image(GOOD)
    assert image.header.hardware == "simulated"
    assert str(image.header.version) == "1.2.3"
    assert image.body == BODY
    assert image.header.sha256 == hashlib.sha256(BODY).digest()


def _with(at, data):
    return GOOD[:at] + data + GOOD[at + len(data) :]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "header alone"),
        (GOOD.replace(b"\r\n", b"\n", 1), "transferred as text"),
        (_with(8, b"\x02"), "format 2"),
        (_with(10, b"\x7f"), "header of 127 bytes"),
        (_with(12, (MAX_BODY + 1).to_bytes(4, "little")), "body of"),
        (_with(12, bytes(4)), "body of 0 bytes"),
        (_with(16, b"other-adapter-xx"), "for the product other-adapter-xx"),
        (_with(16, b"other\0"), "product in its header"),
        (_with(32, bytes(32)), "hardware in its header"),
        (_with(70, b"\x01"), "reserved"),
        (_with(127, b"\x01"), "reserved"),
        (GOOD[:-1], "the header tells of"),
        (GOOD + b"x", "the header tells of"),
        (GOOD[:-1] + b"?", "damaged"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(data, sentence):
    with pytest.raises(ImageError, match=sentence):
        parse_image(data)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_an_image_error(data):
    for rubbish in (data, GOOD[:HEADER_BYTES] + data):
        with contextlib.suppress(ImageError):
            parse_image(rubbish)
    with contextlib.suppress(ImageError):
        parse_public_key(data.decode("latin-1"))


@given(st.integers(0, HEADER_BYTES - 1), st.integers(1, 255))
def test_a_changed_header_is_refused_or_is_another_signed_text(at, change):
    data = bytearray(GOOD)
    data[at] ^= change
    try:
        image = parse_image(bytes(data))
    except ImageError:
        return
    assert image.header_bytes != HEADER


@given(st.text(max_size=40))
def test_any_name_of_a_firmware_has_a_version_or_none(text):
    assert version_of(text) is None or text[-1] in "0123456789"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("sim-1.0.0", Version(1, 0, 0)), ("2.10.3", Version(2, 10, 3)), ("v1.2", None), ("1.2.3-rc1", None),
        ("1.2.3.4", None), ("", None), ("x 70000.0.0", None),
    ],
)  # fmt: skip
def test_versions_are_read_from_the_end_of_a_name(text, version):
    assert version_of(text) == version


def test_versions_compare_as_numbers():
    assert Version(1, 10, 0) > Version(1, 9, 9)


def _pem(key):
    der = bytes.fromhex("302a300506032b6570032100") + key
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def test_a_public_key_is_read_from_pem_and_nothing_else():
    key = bytes(range(32))
    assert parse_public_key(_pem(key)) == key
    for wrong in ("", "x", _pem(key[:-1]), _pem(key).replace("PUBLIC", "PRIVATE"), _pem(key).replace("MCow", "****")):
        with pytest.raises(ImageError):
            parse_public_key(wrong)


def test_without_a_key_nothing_is_genuine():
    with pytest.raises(ImageError, match="no key"):
        verify_image(parse_image(GOOD), [])
    with pytest.raises(ImageError, match="not signed"):
        verify_image(parse_image(GOOD), [bytes.fromhex(VECTORS[0][0])])


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_makers_signature_is_of_this_text_by_this_maker_only(message, more):
    maker = Maker("a")
    signature = maker.sign(message)
    assert ed25519.verify(maker.public_key, message, signature)
    assert not ed25519.verify(maker.public_key, message + more, signature)
    assert not ed25519.verify(Maker("b").public_key, message, signature)
    assert parse_public_key(maker.pem) == maker.public_key
