"""Headers that the library does not hand out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.headers import MAX_HEADER, MAX_LEFTOVERS, addressed, called_party, header, leftovers


def _invite(*lines: str) -> str:
    return "\r\n".join(["INVITE sip:home@192.0.2.9;line=00c0ffee SIP/2.0", *lines, "", "To: <sip:body@x>"])


@pytest.mark.parametrize(
    ("lines", "user"),
    [
        (["To: <sip:+4722000002@lab.example>"], "+4722000002"),
        (["t:sip:22000002@lab.example"], "22000002"),
        (["TO :\r\n \t<sip:+4722000002@lab.example>"], "+4722000002"),
        (["To: <tel:+4722000002;phone-context=x>"], "+4722000002"),
        (["X-To: <sip:1@x>"], ""),
        ([], ""),
    ],
)
def test_whom_the_caller_meant_is_in_to(lines, user):
    assert addressed(_invite(*lines)) == user


def test_the_dialled_number_is_in_p_called_party_id_where_the_operator_says_it():
    message = _invite("To: <sip:1@x>", "p-called-party-id: <sip:+4722000002@lab.example;user=phone>")

    assert called_party(message) == "+4722000002"
    assert called_party(_invite("To: <sip:1@x>")) == ""


@given(st.text(max_size=3000))
def test_no_text_breaks_the_reader(text):
    assert len(header(text, "To", "t")) <= MAX_HEADER
    assert len(addressed(f"INVITE x\r\nTo: {text}\r\n\r\n")) <= 128


def test_a_binding_of_ours_from_another_port_is_left_over_and_no_other():
    message = (
        "SIP/2.0 200 OK\r\nContact: <sip:u@192.0.2.9:5;line=00c0ffee;p=20001;ob>;expires=60,"
        " <sip:u@192.0.2.9:7;line=00c0ffee;p=20002;ob>;expires=9\r\n"
        "m: <sip:u@198.51.100.7:1;line=00c0ffee>\r\nContact: <sip:softphone@192.0.2.8:5060>;expires=60\r\n"
        "Contact: <sip:u@192.0.2.9:7;line=deadbeef;p=20002>\r\n\r\nContact: <sip:u@x;line=00c0ffee;p=1>"
    )
    assert leftovers(message, "00c0ffee", 20001) == (
        "sip:u@192.0.2.9:7;line=00c0ffee;p=20002;ob", "sip:u@198.51.100.7:1;line=00c0ffee",
    )  # fmt: skip


@given(st.text(max_size=2000))
def test_no_contact_breaks_the_reader(text):
    assert len(leftovers(f"SIP/2.0 200 OK\r\nContact: {text}\r\n\r\n", "00c0ffee", 1)) <= MAX_LEFTOVERS
