"""Registration: what the Switch is told, and what goes on the wire."""

import json
import re

import pytest

pytestmark = pytest.mark.e2e


def test_registers_with_the_aor_and_unregisters_at_the_end(endpoint, registrar):
    ola = endpoint({"1001": {}})
    ola.wait("ready")
    assert re.search(r"^From: .*<?sip:1001@lab\.example>?;", registrar.registers[-1], re.MULTILINE)
    assert re.search(r"^Route: <sip:127\.0\.0\.1:\d+;transport=udp;lr>", registrar.registers[-1], re.MULTILINE)
    assert "1001" in registrar.bindings
    assert ola.finish() == 0
    assert registrar.bindings == {}


def test_a_wrong_password_makes_no_storm(endpoint, registrar):
    ola = endpoint({"1001": {"password": "wrong"}})
    failed = ola.wait("registration_failed")
    assert (failed["code"], failed["on_wire"]) == (401, True)
    with pytest.raises(AssertionError, match=r"no .*registration_failed"):
        ola.wait("registration_failed", timeout=3)
    assert len(registrar.registers) <= 4
    assert "wrong" not in "".join(ola.errors) + json.dumps(ola.past)


def test_a_silent_registrar_is_a_failure_of_our_own(endpoint):
    ola = endpoint({"1001": {"target": "127.0.0.1:9;transport=udp"}})
    failed = ola.wait("registration_failed", timeout=10)
    assert (failed["code"], failed["on_wire"]) == (408, False)


def test_a_call_can_start_without_registration(endpoint, registrar):
    ola = endpoint({"1001": {"password": "wrong"}})
    kari = endpoint({"1002": {}})
    ola.wait("registration_failed")
    kari.wait("ready")
    ola.send(call={"from": "1001", "to": "1002"})
    assert kari.wait("invite")["caller"] == "1001"
    ola.wait("answered")


def test_a_longer_interval_that_the_registrar_asks_for_is_used_and_one_of_years_is_not_believed(script):
    result = script("""
driver, peer = with_peer(expires_s=60)
def expires(request):
    found = re.search(rb"^Expires: (\\d+)", request, re.MULTILINE)
    return int(found[1])
driver.stack.perform(actions.Register("1001"))
first = peer.receive(b"REGISTER")
peer.answer(first, b"423 Interval Too Brief\\r\\nMin-Expires: 120")
second = peer.receive(b"REGISTER")
contact = head(second, b"Contact")
peer.answer(second, b"200 OK\\r\\nX-Bound: " + contact + b"\\r\\nExpires: 120")
granted = driver.wait((events.Registered, events.Unregistered))
driver.stack.perform(actions.Register("1001"))
third = peer.receive(b"REGISTER")
answers = 0
while third and answers < 9:
    answers += 1
    peer.answer(third, b"423 Interval Too Brief\\r\\nMin-Expires: 4000000000")
    third = peer.receive(b"REGISTER", 1500)
failed = driver.wait(events.RegistrationFailed)
driver.stack.close()
say("done", asked=[expires(first), expires(second)], answers=answers, code=failed.code, on_wire=failed.on_wire,
    granted=repr(granted))
""")
    assert result["asked"] == [60, 120]
    assert (result["code"], result["on_wire"]) == (423, True)
    assert result["answers"] <= 4
