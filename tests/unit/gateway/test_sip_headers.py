"""Headers that the library does not hand out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.redirect import Elsewhere
from agent.gateway.daemon.sip.headers import (
    MAX_CONTACTS,
    MAX_HEADER,
    addressed,
    called_party,
    header,
    redirections,
)


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


@pytest.mark.parametrize(
    ("contact", "places"),
    [
        ("Contact: <sip:+4722000001@192.0.2.2:5062;transport=udp>", [("+4722000001", "192.0.2.2", 5062)]),
        ("Contact: sip:22000001@lab.example", [("22000001", "lab.example", 0)]),
        ("m: <sips:%2B4722@[2001:db8::1]:5061;x=y?Subject=z>;expires=60", [("+4722", "2001:db8::1", 5061)]),
        ('Contact: "a <sip:1@evil>, b" <sip:2@host>;q=0.1, <sip:3@host>;q=0.9', [("3", "host", 0), ("2", "host", 0)]),
        ("Contact: <sip:1@a>;q=0.5\r\nContact: <sip:2@b>", [("2", "b", 0), ("1", "a", 0)]),
        ("Contact: <tel:+4722000001>, <sip:host>, *, <http://x@y>, <sip:1@>", []),
        ("Contact:", []),
        ("X-Contact: <sip:1@a>", []),
    ],
)
def test_a_redirection_leads_where_its_contacts_say_the_preferred_one_first(contact, places):
    message = f"SIP/2.0 302 Moved\r\n{contact}\r\nContent-Length: 0\r\n\r\nContact: <sip:body@x>"
    assert redirections(message) == tuple(Elsewhere(*place) for place in places)


@given(st.text(alphabet='<>sip:@;q=0.15, "[]\\\r\n4722m*%2', max_size=400))
def test_whatever_a_contact_says_there_are_few_and_they_can_be_told(text):
    found = redirections(f"SIP/2.0 302 Moved\r\nContact: {text}\r\n\r\n")
    assert len(found) <= MAX_CONTACTS
    assert all(one.user.isprintable() or not one.user for one in found)
    assert all(0 <= one.port <= 99_999 and one.host for one in found)
