"""Calls between two telephones, seen from both ends of the wire."""

from __future__ import annotations

import re

import pytest

OTHER_SDP = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n"


@pytest.fixture
def answered(phone):
    """A call from the adapter to kari that both have confirmed: caller's dialog, kari, kari's INVITE."""
    adapter, kari = phone("adapter"), phone("kari")
    dialog = adapter.invite("22345678")
    invite = kari.expect("INVITE")
    kari.answer(invite, 180, "Ringing")
    kari.answer(invite, 200, "OK", kari.contact, body=OTHER_SDP)
    adapter.expect(180)
    dialog.confirm(adapter.expect(200))
    kari.expect("ACK")
    return dialog, kari, invite


def test_a_call_arrives_with_number_identity_and_the_callers_media(phone, operator):
    adapter, kari = phone("adapter"), phone("kari")
    adapter.invite("22345678", port=4242)
    invite = kari.expect("INVITE")
    assert invite.start == f"INVITE sip:kari@{kari.address} SIP/2.0"
    domain = operator.config.domain
    assert invite["to"] == f"<sip:+4722345678@{domain}>"
    assert invite["p-called-party-id"] == f"<sip:+4722345678@{domain}>"
    assert invite["from"].startswith(f"<sip:+4721000001@{domain}>")
    assert invite["p-asserted-identity"] == f"<sip:+4721000001@{domain}>"
    assert "m=audio 4242 RTP/AVP 8 101" in invite.body
    assert operator.event("invite") == {
        "event": "invite",
        "call": 1,
        "caller": "adapter",
        "callee": "kari",
        "number": "+47 2•• •• •78",
        "emergency": False,
    }


@pytest.mark.parametrize("number", ["+4722345678", "4722345678", "004722345678", "22345678", "1881"])
def test_numbers_are_understood_in_every_form(phone, number):
    adapter, kari = phone("adapter"), phone("kari")
    adapter.invite(number)
    assert kari.expect("INVITE")["to"].startswith(("<sip:+4722345678@", "<sip:1881@"))


def test_a_second_number_of_ones_own_may_be_shown(phone):
    adapter, kari = phone("adapter"), phone("kari")
    adapter.user = "+4721000002"
    uri = "sip:22345678@lab.test"
    first = adapter.request("INVITE", uri, adapter.contact, body=OTHER_SDP)
    adapter.send(first)
    challenge = adapter.expect(401)["www-authenticate"]
    adapter.user = "adapter"
    credential = adapter.credential(challenge, "INVITE", uri)
    adapter.user = "+4721000002"
    adapter.send(adapter.request("INVITE", uri, adapter.contact, credential, body=OTHER_SDP))
    assert kari.expect("INVITE")["from"].startswith("<sip:+4721000002@")


def test_a_strangers_number_is_never_shown(phone):
    adapter, kari = phone("adapter"), phone("kari")
    uri = "sip:22345678@lab.test"
    adapter.send(adapter.request("INVITE", uri, adapter.contact, body=OTHER_SDP))
    credential = adapter.credential(adapter.expect(401)["www-authenticate"], "INVITE", uri)
    adapter.user = "+4791234567"
    adapter.send(adapter.request("INVITE", uri, adapter.contact, credential, body=OTHER_SDP))
    assert kari.expect("INVITE")["from"].startswith("<sip:+4721000001@")


def test_privacy_hides_the_number(phone):
    adapter, kari = phone("adapter"), phone("kari")
    adapter.invite("22345678", "Privacy: id")
    invite = kari.expect("INVITE")
    assert "sip:anonymous@anonymous.invalid" in invite["from"]
    assert invite.all("p-asserted-identity") == []


def test_ringing_and_early_media_reach_the_caller(phone):
    adapter, kari = phone("adapter"), phone("kari")
    adapter.invite("22345678")
    invite = kari.expect("INVITE")
    kari.answer(invite, 180, "Ringing")
    adapter.expect(180)
    kari.answer(invite, 183, "Session Progress", body=OTHER_SDP)
    assert "m=audio 5000" in adapter.expect(183).body


def test_the_answer_brings_the_callees_media(phone, operator):
    adapter, kari = phone("adapter"), phone("kari")
    dialog = adapter.invite("22345678")
    kari.answer(kari.expect("INVITE"), 200, "OK", kari.contact, body=OTHER_SDP)
    answer = adapter.expect(200)
    assert answer.body == OTHER_SDP
    dialog.confirm(answer)
    kari.expect("ACK")
    assert operator.event("answered") == {"event": "answered", "call": 1}


def test_the_caller_hangs_up(answered, operator):
    dialog, kari, _ = answered
    dialog.send("BYE")
    dialog.phone.expect(200)
    kari.answer(kari.expect("BYE"), 200, "OK")
    assert operator.event("bye") == {
        "event": "bye",
        "call": 1,
        "by_caller": True,
        "answered": True,
        "by_operator": False,
    }


def test_the_callee_hangs_up(answered, operator):
    dialog, kari, invite = answered
    kari.send(kari.in_dialog(invite, "BYE", 1))
    kari.expect(200)
    dialog.phone.answer(dialog.phone.expect("BYE"), 200, "OK")
    assert operator.event("bye")["by_caller"] is False


def test_hold_goes_through_in_both_directions(answered):
    dialog, kari, invite = answered
    held = OTHER_SDP.replace("o=- 2 2", "o=- 1 2") + "a=sendonly\r\n"
    dialog.send("INVITE", dialog.phone.contact, body=held)
    again = kari.expect("INVITE")
    assert again.body == held
    kari.answer(again, 200, "OK", kari.contact, body=OTHER_SDP + "a=recvonly\r\n")
    answer = dialog.phone.expect(200)
    assert answer.body.endswith("a=recvonly\r\n")
    dialog.confirm(answer)
    kari.expect("ACK")

    held_by_kari = OTHER_SDP + "a=inactive\r\n"
    kari.send(kari.in_dialog(invite, "INVITE", 7, kari.contact, body=held_by_kari))
    assert dialog.phone.expect("INVITE").body == held_by_kari


def test_a_refused_hold_leaves_the_call_and_the_next_one_works(answered):
    dialog, kari, _ = answered
    for version in (2, 3):
        offer = OTHER_SDP.replace("o=- 2 2", f"o=- 1 {version}")
        dialog.send("INVITE", dialog.phone.contact, body=offer)
        again = kari.expect("INVITE")
        assert again.body == offer
        kari.answer(again, 488, "Not Acceptable Here")
        kari.expect("ACK")
        refused = dialog.phone.expect(488)
        dialog.phone.send(
            dialog.phone.request(
                "ACK",
                dialog.target,
                to=dialog.to,
                call_id=dialog.call_id,
                cseq=dialog.phone.cseq,
                branch=re.search("branch=([^;]+)", refused["via"])[1],
            )
        )
    dialog.send("BYE")
    dialog.phone.expect(200)
    kari.expect("BYE")


def test_an_offerless_reinvite_is_refused_and_the_call_stands(answered):
    dialog, kari, _ = answered
    dialog.send("INVITE", dialog.phone.contact)
    dialog.phone.expect(488)
    dialog.send("BYE")
    dialog.phone.expect(200)
    kari.expect("BYE")


def test_info_goes_through(answered):
    dialog, kari, _ = answered
    dialog.send("INFO", body=OTHER_SDP)
    dialog.phone.expect(200)
    kari.expect("INFO")


@pytest.mark.parametrize("method", ["UPDATE", "REFER", "MESSAGE"])
def test_methods_that_are_not_relayed_are_refused(answered, method):
    dialog, _, _ = answered
    dialog.send(method)
    assert "BYE" in dialog.phone.expect(405)["allow"]


@pytest.mark.parametrize(("code", "reason"), [(486, "Busy Here"), (603, "Decline"), (480, "Temporarily Unavailable")])
def test_a_refusal_reaches_the_caller(phone, operator, code, reason):
    adapter, kari = phone("adapter"), phone("kari")
    dialog = adapter.invite("22345678")
    kari.answer(kari.expect("INVITE"), code, reason)
    refused = dialog.final()
    assert refused.start == f"SIP/2.0 {code} {reason}"
    adapter.ack(dialog.invite, refused)
    assert kari.expect("ACK").start.split()[1] == f"sip:kari@{kari.address}"
    assert operator.event("refused") == {"event": "refused", "code": code, "call": 1, "number": "+47 2•• •• •78"}


def test_a_redirection_is_not_followed(phone):
    adapter, kari = phone("adapter"), phone("kari")
    dialog = adapter.invite("22345678")
    kari.answer(kari.expect("INVITE"), 302, "Moved Temporarily", "Contact: <sip:evil@192.0.2.1>")
    assert dialog.final().code == 480
    kari.expect("ACK")


def test_cancel_stops_the_ringing(phone, operator):
    adapter, kari = phone("adapter"), phone("kari")
    dialog = adapter.invite("22345678")
    invite = kari.expect("INVITE")
    kari.answer(invite, 180, "Ringing")
    ringing = adapter.expect(180)
    dialog.cancel()
    endings = [adapter.final(), adapter.final()]
    assert sorted((one.code, one["cseq"].split()[1]) for one in endings) == [(200, "CANCEL"), (487, "INVITE")]
    terminated = next(one for one in endings if one.code == 487)
    assert terminated["to"] == ringing["to"]
    adapter.ack(dialog.invite, terminated)
    cancel = kari.expect("CANCEL")
    kari.answer(cancel, 200, "OK")
    kari.answer(invite, 487, "Request Terminated")
    kari.expect("ACK")
    assert operator.event("bye") == {
        "event": "bye",
        "call": 1,
        "by_caller": True,
        "answered": False,
        "by_operator": False,
    }


def test_an_unknown_number_is_not_found(phone, operator):
    dialog = phone("adapter").invite("22999999")
    assert dialog.final().code == 404
    assert operator.event("refused") == {"event": "refused", "code": 404, "call": 0, "number": "+47 2•• •• •99"}


def test_somebody_who_is_not_registered_is_unavailable(phone):
    assert phone("adapter").invite("22345678").final().code == 480


def test_a_wrong_password_is_forbidden(phone):
    phone("kari")
    assert phone("adapter").invite("22345678", password="not the password").final().code == 403


def test_an_unknown_caller_is_challenged_like_anyone(phone):
    phone("kari")
    stranger = phone("adapter", register=False)
    stranger.user = "nobody"
    assert stranger.invite("22345678").final().code == 403


@pytest.mark.parametrize("number", ["110", "112", "113", "1412"])
def test_an_emergency_call_needs_no_credential_and_shows_the_number(phone, operator, number):
    centre = phone("nodsentral")
    adapter = phone("adapter", register=False)
    adapter.send(adapter.request("INVITE", f"sip:{number}@lab.test", adapter.contact, "Privacy: id", body=OTHER_SDP))
    invite = centre.expect("INVITE")
    assert invite["to"].startswith(f"<sip:{number}@")
    assert invite["from"].startswith("<sip:+4721000001@")
    assert operator.event("invite")["emergency"] is True


def test_an_emergency_call_from_nobody_knows_is_carried_without_identity(phone):
    centre = phone("nodsentral")
    stranger = phone("adapter", register=False)
    stranger.user = "nobody"
    stranger.send(stranger.request("INVITE", "sip:112@lab.test", stranger.contact, body=OTHER_SDP))
    assert "anonymous.invalid" in centre.expect("INVITE")["from"]


def test_too_many_hops(phone):
    adapter = phone("adapter")
    request = adapter.request("INVITE", "sip:22345678@lab.test", adapter.contact, body=OTHER_SDP)
    adapter.send(request.replace("Max-Forwards: 70", "Max-Forwards: 0"))
    adapter.expect(483)


def test_a_request_of_no_known_dialog_is_refused(phone):
    adapter = phone("adapter")
    adapter.send(adapter.request("BYE", "sip:22345678@lab.test", to="<sip:22345678@lab.test>;tag=gone"))
    adapter.expect(481)


def test_nothing_is_sent_where_a_contact_lies(phone):
    """A contact that names another host is called where its REGISTER came from."""
    adapter = phone("adapter")
    kari = phone("kari", register=False)
    assert kari.register(contact="Contact: <sip:kari@192.0.2.7:5999;ob>").code == 200
    adapter.invite("22345678")
    assert kari.expect("INVITE").start == f"INVITE sip:kari@{kari.address};ob SIP/2.0"


def call_between(lab, phone, number: str):
    """A confirmed call on another operator than the fixture's."""
    adapter, kari = phone("adapter", register=False), phone("kari", register=False)
    for one in (adapter, kari):
        one.operator = lab
        assert one.register().code == 200
    dialog = adapter.invite(number)
    invite = kari.expect("INVITE")
    kari.answer(invite, 200, "OK", kari.contact, body=OTHER_SDP)
    dialog.confirm(adapter.expect(200))
    kari.expect("ACK")
    return dialog, kari


def test_a_telephone_that_has_forgotten_the_call_ends_it_for_the_other(start, phone):
    lab = start(session_check_s=1)
    dialog, kari = call_between(lab, phone, "22345678")
    adapter = dialog.phone
    adapter.answer(adapter.expect("OPTIONS"), 200, "OK")
    kari.answer(kari.expect("OPTIONS"), 500, "Server Internal Error")
    kari.answer(kari.expect("OPTIONS"), 481, "Call/Transaction Does Not Exist")
    kari.expect("BYE")
    while (message := adapter.receive()).method != "BYE":
        assert message.method == "OPTIONS"
    assert lab.event("bye")["by_operator"] is True


def test_stopping_ends_the_calls(answered, operator):
    dialog, kari, _ = answered
    assert operator.process.poll() is None
    operator.process.stdin.close()
    assert dialog.phone.expect("BYE").method == "BYE"
    assert kari.expect("BYE").method == "BYE"
    assert operator.process.wait(10) == 0


def test_the_library_found_nothing_to_complain_about(answered, operator):
    dialog, kari, _ = answered
    dialog.send("BYE")
    dialog.phone.expect(200)
    kari.answer(kari.expect("BYE"), 200, "OK")
    operator.stop()
    while operator.next_event() is not None:
        pass
    assert [event for event in operator.events if event.get("event") == "trouble"] == []
    assert operator.events[-1] == {"event": "stopped"}
