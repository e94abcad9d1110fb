"""The location service: who can be called where, and until when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lab.operator.registrar import MAX_CONTACT, MAX_CONTACTS, Contact, Registrar, RegistrarError

HERE = ("127.0.0.1", 5062)


@pytest.fixture
def registrar() -> Registrar:
    return Registrar(min_expires_s=10, max_expires_s=3600)


def uris(bindings) -> list[str]:
    return [binding.uri for binding in bindings]


def register(registrar, *contacts, cseq=1, now=0, call_id="c", expires_s=None, source=HERE):
    return registrar.register("kari", contacts, call_id=call_id, cseq=cseq, source=source, now=now, expires_s=expires_s)


def test_a_binding_lives_exactly_as_long_as_granted(registrar):
    register(registrar, Contact("sip:a", expires_s=60))
    assert uris(registrar.bindings("kari", 59_999)) == ["sip:a"]
    assert registrar.bindings("kari", 60_000) == ()


@pytest.mark.parametrize(
    ("contact_s", "header_s", "granted_s"), [(None, None, 3600), (None, 50, 50), (40, 50, 40), (90_000, None, 3600)]
)
def test_the_contacts_time_comes_first_then_the_headers_then_the_longest(registrar, contact_s, header_s, granted_s):
    (binding,) = register(registrar, Contact("sip:a", expires_s=contact_s), expires_s=header_s)
    assert binding.until == granted_s * 1000


def test_too_brief_is_423_and_changes_nothing(registrar):
    register(registrar, Contact("sip:a"))
    with pytest.raises(RegistrarError) as refused:
        register(registrar, Contact("sip:b", expires_s=9), cseq=2)
    assert (refused.value.code, refused.value.min_expires_s) == (423, 10)
    assert uris(registrar.bindings("kari", 0)) == ["sip:a"]


def test_the_newest_registration_replaces_the_older_one(registrar):
    register(registrar, Contact("sip:old"), call_id="before the restart", cseq=900)
    register(registrar, Contact("sip:new"), call_id="after the restart", cseq=1)
    assert uris(registrar.bindings("kari", 0)) == ["sip:new"]


def test_a_late_unregister_of_the_old_contact_leaves_the_new_one(registrar):
    register(registrar, Contact("sip:old"), call_id="old")
    register(registrar, Contact("sip:new"), call_id="new")
    assert uris(register(registrar, Contact("sip:old", expires_s=0), call_id="old", cseq=2)) == ["sip:new"]


def test_several_contacts_are_kept_best_first(registrar):
    kept = register(registrar, Contact("sip:low", q=100), Contact("sip:high", q=900), Contact("sip:gone", expires_s=0))
    assert uris(kept) == ["sip:high", "sip:low"]


def test_an_older_request_of_the_same_client_is_refused(registrar):
    register(registrar, Contact("sip:a"), cseq=5)
    for cseq in (4, 5):
        with pytest.raises(RegistrarError, match="500"):
            register(registrar, Contact("sip:b"), cseq=cseq)
    with pytest.raises(RegistrarError, match="500"):
        registrar.unregister_all("kari", call_id="c", cseq=5)


def test_a_question_changes_nothing(registrar):
    register(registrar, Contact("sip:a"))
    assert uris(register(registrar, cseq=2)) == ["sip:a"]


def test_everything_goes_with_the_asterisk(registrar):
    register(registrar, Contact("sip:a"), Contact("sip:b"))
    registrar.unregister_all("kari", call_id="c", cseq=2)
    assert registrar.bindings("kari", 0) == ()


def test_what_ran_out_is_told_once(registrar):
    register(registrar, Contact("sip:a", expires_s=10))
    assert registrar.expire(9_999) == []
    assert registrar.expire(10_000) == ["kari"]
    assert registrar.expire(10_001) == []


def test_contacts_are_bounded(registrar):
    with pytest.raises(RegistrarError, match="Too Many"):
        register(registrar, *[Contact(f"sip:{n}") for n in range(MAX_CONTACTS + 1)])
    with pytest.raises(RegistrarError, match="Too Long"):
        register(registrar, Contact("s" * (MAX_CONTACT + 1)))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 10, 60, 4000]), st.integers(0, 20_000)), max_size=20)
)
def test_only_the_last_accepted_contact_can_be_called(steps):
    registrar = Registrar(min_expires_s=10, max_expires_s=3600)
    now, expected, until = 0, None, 0
    for cseq, (name, seconds, passed) in enumerate(steps):
        now += passed
        if expected is not None and until <= now:
            expected = None
        register(registrar, Contact(name, expires_s=seconds), cseq=cseq, now=now)
        if seconds:
            expected, until = name, now + min(seconds, 3600) * 1000
        elif expected == name:
            expected = None
        assert uris(registrar.bindings("kari", now)) == ([expected] if expected else [])
