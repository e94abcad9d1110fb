"""Registration at a real registrar: digest, one binding for each AOR whatever happens, and no storm."""

from __future__ import annotations

import msgspec
import pytest

from agent.clock import boot_ms

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

FOUR_MESSAGES = 4
"""What one attempt may cost at most."""
PAUSE_MS = 19 * 60_000
"""The adapter then waits 20 minutes."""


def test_both_accounts_register_with_digest_and_leave_at_a_clean_stop(operator, new_adapter):
    adapter = new_adapter().ready()
    for one in adapter.subscribers:
        assert len(operator.contacts(one.user)) == 1
        assert operator.log.wait(f"digest of {one.user} is right")
    assert adapter.stop() == 0
    assert [operator.contacts(one.user) for one in adapter.subscribers] == [[], []]


def test_after_kill_9_each_aor_has_exactly_one_binding_at_the_same_port(operator, new_adapter):
    adapter = new_adapter().ready()
    before = [operator.contacts(one.user) for one in adapter.subscribers]
    crash = len(operator.log.lines)
    adapter.crash_and_restart()
    adapter.ready()
    assert all(operator.log.wait(f"digest of {one.user} is right", since=crash) for one in adapter.subscribers)
    after = [operator.contacts(one.user) for one in adapter.subscribers]
    assert [len(contacts) for contacts in after] == [1, 1]
    assert after == before


def test_after_a_crash_and_a_start_on_another_port_no_dead_binding_is_left(operator, new_adapter):
    adapter = new_adapter().ready()
    before = [operator.contacts(one.user) for one in adapter.subscribers]
    adapter.forget_port()
    adapter.crash_and_restart()
    adapter.ready()
    for one, contacts in zip(adapter.subscribers, before, strict=True):
        assert operator.only_another(one.user, contacts), (contacts, operator.contacts(one.user))


def test_a_wrong_password_makes_no_storm(operator, household, new_adapter):
    right, changed = household()
    operator.know(changed.user, "another secret")
    adapter = new_adapter([right, changed])
    assert adapter.agent.wait(lambda: getattr(adapter.agent.accounts.get(changed.user), "code", 0) == 401)
    refused = adapter.agent.accounts[changed.user]
    assert (refused.registered, refused.on_wire) == (False, True)
    assert refused.next_attempt_ms - boot_ms() > PAUSE_MS
    assert len(operator.registers(changed.user)) <= FOUR_MESSAGES
    # Nor anything soon after.
    assert not operator.log.wait("REGISTER", f"from={changed.user} ", count=FOUR_MESSAGES + 1, timeout=1)
    assert adapter.agent.accounts[changed.user].attempts == 1
    assert adapter.agent.wait(lambda: adapter.agent.accounts[right.user].registered)
    assert operator.contacts(changed.user) == []


def test_the_right_password_registers_at_once_and_not_after_the_pause_of_a_refused_one(
    operator, household, new_adapter
):
    changed, other = household()
    operator.know(changed.user, "another secret")
    adapter = new_adapter([changed, other])
    assert adapter.agent.wait(lambda: getattr(adapter.agent.accounts.get(changed.user), "code", 0) == 401)
    old = adapter.agent.configuration
    account = msgspec.structs.replace(old.accounts[0], password="another secret")
    adapter.agent.configure(msgspec.structs.replace(old, revision="corrected", accounts=[account, old.accounts[1]]))
    adapter.ready()
    assert len(operator.contacts(changed.user)) == 1
