"""Session timers (RFC 4028) are asked for where they are configured; tests/e2e/peers/test_dialogs.py plays the rest."""

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("session_s", [0, 1800])
def test_without_session_timers_none_is_asked_for(script, session_s):
    result = script(
        """
driver, peer = with_peer(session_s=SECONDS)
driver.stack.perform(actions.Invite("out", "1001", "1002", 0))
invite = peer.receive(b"INVITE")
asked = b"Session-Expires" in invite
driver.stack.close()
say("done", asked=asked)
""".replace("SECONDS", str(session_s))
    )
    assert result["asked"] is (session_s > 0)
