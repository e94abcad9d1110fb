"""Headers that the library does not hand out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.headers import MAX_HEADER, addressed, called_party, header


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
