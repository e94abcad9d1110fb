"""Digest credentials: RFC examples, what is accepted, stale or wrong, and a parser that survives anything."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from agent.lab.operator.digest import (
    MAX_HEADER,
    Algorithm,
    Authenticator,
    Credentials,
    DigestError,
    Outcome,
    parse_credentials,
    response_for,
)

RFC7616 = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
"""RFC 7616 §3.9.1."""


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_rfc(algorithm, response):
    credentials = parse_credentials(RFC7616.format(algorithm=algorithm, response=response))
    assert response_for(credentials, "GET", "Circle of Life") == response


def test_without_qop_as_in_rfc_2069():
    credentials = parse_credentials(
        'Digest username="Mufasa",realm="testrealm@host.com",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
        'uri="/dir/index.html",response="670fd8c2df070c60b045671b8b24ff02"'
    )
    assert credentials.algorithm is Algorithm.MD5
    assert response_for(credentials, "GET", "Circle Of Life") == "670fd8c2df070c60b045671b8b24ff02"


def authenticator(key: bytes = b"key") -> Authenticator:
    return Authenticator(realm="lab", key=key, nonce_lifetime_ms=60_000)


def credentials_for(challenge: str, password: str, **changes: str) -> Credentials:
    nonce = re.search('nonce="([^"]+)"', challenge)[1]
    unsigned = Credentials(
        username="kari", realm="lab", nonce=nonce, uri="sip:lab", response="", qop="auth", nc="00000001", cnonce="c"
    )
    unsigned = structs.replace(unsigned, **changes)
    return structs.replace(unsigned, response=response_for(unsigned, "REGISTER", password))


def judge(who: Authenticator, credentials: Credentials, now: int, *algorithms: Algorithm) -> Outcome:
    return who.judge(
        credentials, method="REGISTER", password="right", algorithms=algorithms or (Algorithm.MD5,), now=now
    )


@pytest.mark.parametrize(
    ("password", "now", "outcome"),
    [
        ("right", 1000, Outcome.ACCEPTED),
        ("right", 61_000, Outcome.ACCEPTED),
        ("right", 61_001, Outcome.STALE),
        ("right", 999, Outcome.STALE),
        ("wrong", 1000, Outcome.WRONG),
        ("wrong", 99_000, Outcome.WRONG),
    ],
)
def test_password_and_age_of_the_nonce_decide(password, now, outcome):
    (challenge,) = authenticator().challenges([Algorithm.MD5], 1000)
    assert judge(authenticator(), credentials_for(challenge, password), now) is outcome


def test_a_nonce_of_another_key_is_stale():
    (challenge,) = authenticator(b"other").challenges([Algorithm.MD5], 1000)
    assert judge(authenticator(), credentials_for(challenge, "right"), 1000) is Outcome.STALE


def test_another_realm_is_wrong_and_an_algorithm_that_was_not_offered_too():
    (challenge,) = authenticator().challenges([Algorithm.MD5], 1000)
    assert judge(authenticator(), credentials_for(challenge, "right", realm="elsewhere"), 1000) is Outcome.WRONG
    good = credentials_for(challenge, "right")
    assert judge(authenticator(), good, 1000, Algorithm.SHA256) is Outcome.WRONG


def test_another_method_is_wrong():
    (challenge,) = authenticator().challenges([Algorithm.MD5], 1000)
    credentials = credentials_for(challenge, "right")
    outcome = authenticator().judge(
        credentials, method="INVITE", password="right", algorithms=[Algorithm.MD5], now=1000
    )
    assert outcome is Outcome.WRONG


@pytest.mark.parametrize("nonce", ["", ".", "zz.00", "3e8", "3e8.", "-1.00", "f" * 40 + ".00", "٣.00"])
def test_odd_nonces_are_stale_at_most(nonce):
    (challenge,) = authenticator().challenges([Algorithm.MD5], 1000)
    assert judge(authenticator(), credentials_for(challenge, "right", nonce=nonce), 1000) is Outcome.STALE


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("Basic a2FyaTpoZWk=", "not of the Digest scheme"),
        ("Digest ", "lacks username"),
        ('Digest username="a", realm="r", nonce="n", uri="u"', "lacks response"),
        ('Digest username="a", username="b"', "username twice"),
        ('Digest username="a', "cannot be read at character"),
        ('Digest username="a", realm="r", nonce="n", uri="u", response="0", qop=auth-int', "other than auth"),
        ('Digest username="a", realm="r", nonce="n", uri="u", response="0", qop=auth', "not nc and cnonce"),
        ('Digest username="a", realm="r", nonce="n", uri="u", response="0", algorithm=ROT13', "MD5 and SHA-256"),
        ("Digest " + "x" * MAX_HEADER, "longer than"),
    ],
)
def test_what_cannot_be_read_is_named(header, sentence):
    with pytest.raises(DigestError, match=sentence):
        parse_credentials(header)


def test_quoted_commas_and_escapes_belong_to_the_value():
    credentials = parse_credentials(r'Digest username="a,\"b", realm="r", nonce="n", uri="sip:a,b", response="0F"')
    assert (credentials.username, credentials.uri, credentials.response) == ('a,"b', "sip:a,b", "0f")


@given(st.text(max_size=300) | st.text(alphabet='Digest usrname="\\,;=0', max_size=300).map("Digest ".__add__))
def test_no_header_does_more_than_be_refused(header):
    try:
        credentials = parse_credentials(header)
    except DigestError:
        return
    assert credentials.username
