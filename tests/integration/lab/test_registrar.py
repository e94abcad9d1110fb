"""What a telephone gets to hear when it registers."""

from __future__ import annotations

import json

import msgspec
import pytest

from agent.lab.operator.digest import Algorithm

REGISTRAR = "sip:lab.test"
KARI = "<sip:kari@lab.test>"


def test_options_is_answered_to_anyone(phone):
    kari = phone("kari", register=False)
    kari.send(kari.request("OPTIONS", REGISTRAR))
    assert "INVITE" in kari.expect(200)["allow"]


def test_registration_lists_the_contact_and_its_time(operator, phone):
    kari = phone("kari", register=False)
    answer = kari.register(expires=60)
    assert answer.code == 200
    assert answer.all("contact") == [f"<sip:kari@{kari.address}>;expires=60"]
    assert operator.event("registered") == {"event": "registered", "user": "kari", "contacts": 1, "expires_s": 60}


def test_wrong_password_is_forbidden(operator, phone):
    kari = phone("kari", register=False)
    assert kari.register(password="not the password").code == 403
    assert operator.event("denied")["user"] == "kari"


def test_unknown_user_is_challenged_and_then_forbidden(phone):
    stranger = phone("kari", register=False)
    stranger.user = "nobody"
    assert stranger.register().code == 403


def test_nobody_registers_for_another(phone):
    ola = phone("ola", register=False)
    ola.send(ola.request("REGISTER", REGISTRAR, ola.contact, to=KARI))
    credential = ola.credential(ola.expect(401)["www-authenticate"], "REGISTER", REGISTRAR)
    ola.send(ola.request("REGISTER", REGISTRAR, ola.contact, credential, to=KARI))
    ola.expect(403)


def test_right_password_on_an_old_nonce_is_asked_again_as_stale(phone):
    kari = phone("kari", register=False)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, to=KARI))
    challenge = kari.expect(401)["www-authenticate"]
    assert "stale" not in challenge
    old = challenge.replace('nonce="', 'nonce="1')
    credential = kari.credential(old, "REGISTER", REGISTRAR)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, credential, to=KARI))
    again = kari.expect(401)["www-authenticate"]
    assert "stale=true" in again
    credential = kari.credential(again, "REGISTER", REGISTRAR)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, credential, to=KARI))
    kari.expect(200)


def test_unreadable_credentials_are_a_bad_request(phone):
    kari = phone("kari", register=False)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, 'Authorization: Digest username="kari', to=KARI))
    assert "cannot be read" in kari.expect(400).start


def test_unregister_leaves_nobody(operator, phone):
    kari = phone("kari")
    gone = kari.register(expires=0)
    assert gone.code == 200
    assert gone.all("contact") == []
    assert operator.event("unregistered") == {"event": "unregistered", "user": "kari", "expired": False}


def test_asterisk_removes_every_contact(operator, phone):
    kari = phone("kari")
    assert kari.register(contact="Contact: *", expires=0).all("contact") == []
    assert operator.event("unregistered")["user"] == "kari"


def test_a_new_contact_replaces_the_old_one(phone):
    phone("kari")
    second = phone("kari", register=False)
    assert second.register().all("contact") == [f"<sip:kari@{second.address}>;expires=60"]


def test_several_contacts_come_back_best_first(phone):
    kari = phone("kari", register=False)
    answer = kari.register(
        contact=f"Contact: <sip:a@{kari.address}>;q=0.2, <sip:b@{kari.address}>;q=0.9;expires=30", expires=60
    )
    assert answer.all("contact") == [
        f"<sip:b@{kari.address}>;expires=30",
        f"<sip:a@{kari.address}>;expires=60",
    ]


def test_too_short_a_time_names_the_shortest(phone):
    answer = phone("kari", register=False).register(expires=5)
    assert (answer.code, answer["min-expires"]) == (423, "10")


def test_a_registration_runs_out(start, phone, operator):
    del operator
    lab = start(min_expires_s=1)
    kari = phone("kari", register=False)
    kari.operator = lab
    assert kari.register(expires=1).code == 200
    assert lab.event("unregistered") == {"event": "unregistered", "user": "kari", "expired": True}


def test_only_udp_is_served(phone):
    kari = phone("kari", register=False)
    assert kari.register(contact=f"Contact: <sip:kari@{kari.address};transport=tcp>").code == 400


def test_a_required_extension_is_refused_by_name(phone):
    kari = phone("kari", register=False)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, "Require: outbound", to=KARI))
    assert kari.expect(420)["unsupported"] == "outbound"


def test_sha256_where_the_user_has_it(start, lab, phone):
    users = [
        msgspec.structs.replace(user, algorithms=[Algorithm.SHA256, Algorithm.MD5]) if user.user == "kari" else user
        for user in lab.users
    ]
    kari = phone("kari", register=False)
    kari.operator = start(users=users)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, to=KARI))
    challenges = kari.expect(401).all("www-authenticate")
    assert [challenge.split("algorithm=")[1].split(",")[0] for challenge in challenges] == ["SHA-256", "MD5"]
    credential = kari.credential(challenges[0], "REGISTER", REGISTRAR)
    kari.send(kari.request("REGISTER", REGISTRAR, kari.contact, credential, to=KARI))
    kari.expect(200)


@pytest.mark.parametrize("method", ["SUBSCRIBE", "MESSAGE", "PUBLISH"])
def test_other_methods_are_refused_with_what_is_allowed(phone, method):
    kari = phone("kari", register=False)
    kari.send(kari.request(method, REGISTRAR))
    assert "REGISTER" in kari.expect(405)["allow"]


def test_garbage_does_not_stop_the_service(operator, phone):
    kari = phone("kari", register=False)
    for junk in (
        "\r\n\r\n",
        "x" * 5000,
        "INVITE sip:1 SIP/2.0\r\n\r\n" + "y" * 60,
        "REGISTER  SIP/2.0\r\nVia:\r\n" * 4,
    ):
        kari.send(junk)
    broken = kari.request("REGISTER", REGISTRAR, kari.contact, "Expires: soon", to=KARI)
    kari.send(broken)
    assert kari.final().code in (400, 401)
    kari.socket.sendto(b"\xff" * 200, operator.sip)
    assert kari.register().code == 200


def test_ordered_refusals_and_silence(operator, phone):
    kari = phone("kari", register=False)
    faults = {"sip_silent": 1, "sip_refuse": 1, "retry_after_s": 9}
    assert operator.request("POST", "/lab/faults", json.dumps(faults).encode())[0] == 200
    kari.send(kari.request("OPTIONS", REGISTRAR))
    kari.send(kari.request("OPTIONS", REGISTRAR))
    assert kari.expect(503)["retry-after"] == "9"
    kari.send(kari.request("OPTIONS", REGISTRAR))
    kari.expect(200)
    assert json.loads(operator.request("GET", "/lab/faults")[2]) == {"retry_after_s": 9}
