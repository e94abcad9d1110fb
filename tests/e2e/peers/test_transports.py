"""The same operator by TCP and by TLS: registration, and a call between two telephones with speech both ways."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent.core.srtp import Srtp
from agent.core.terms import CallPhase, Cause
from tests.certificates import Authority
from tests.e2e.peers.conftest import DOMAIN, Adapter, Kamailio, Subscriber

_TLS_MODULES = [*Path("/usr/lib").glob("*/kamailio/modules/tls.so")]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peer("kamailio", "openssl"),
    pytest.mark.skipif(not _TLS_MODULES, reason="Kamailio has no TLS module (make peers)"),
]

SUBSCRIBERS = [
    Subscriber("4721090001", "one secret", "+4721090001"), Subscriber("4721090002", "two secret", "+4721090002"),
]  # fmt: skip
OLA_HZ, KARI_HZ = 900, 1300


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def streams(tmp_path_factory, authority):
    """An operator that speaks TCP and TLS, too."""
    made = Kamailio(tmp_path_factory.mktemp("streams"), certificate=authority.issue("whoever", f"DNS:{DOMAIN}"))
    for one in SUBSCRIBERS:
        made.know(one.user, one.password)
        made.route(one.number, f"aor:{one.user}")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("transport", "srtp"), [("tcp", Srtp.OFF), ("tls", Srtp.OFF), ("tls", Srtp.OPTIONAL), ("tls", Srtp.MANDATORY)]
)
def test_two_telephones_talk_through_the_operator(streams, authority, tmp_path, transport, srtp):
    target = {
        "tcp": f"127.0.0.1:{streams.port};transport=tcp",
        "tls": f"{DOMAIN}@127.0.0.1:{streams.tls_port};transport=tls",
    }[transport]
    adapter = Adapter(
        tmp_path, streams, SUBSCRIBERS, target=target, srtp=srtp, options=["--sip-ca-file", str(authority.root)]
    )
    try:
        adapter.ready()
        assert [len(streams.contacts(one.user)) for one in SUBSCRIBERS] == [1, 1]
        ola, kari = adapter.phones
        adapter.dial("21090002")
        assert kari.wait_for(lambda: kari.ringing, 10)
        kari.off_hook()
        assert adapter.agent.wait(
            lambda: [call.phase for call in adapter.agent.calls.values()] == [CallPhase.ANSWERED] * 2
        )
        ola.speak(OLA_HZ)
        kari.speak(KARI_HZ)
        assert adapter.hears(KARI_HZ, 0)
        assert adapter.hears(OLA_HZ, 1)
        ola.on_hook()
        assert adapter.agent.wait(
            lambda: [call.phase for call in adapter.agent.calls.values()] == [CallPhase.ENDED] * 2
        )
        assert Counter(call.cause for call in adapter.agent.calls.values()) == {Cause.NORMAL: 2}
        messages = adapter.messages()
        assert {message.transport for message in messages} == {transport.upper()}
        profiles = Counter(
            line.split()[2] for message in messages for line in message.text.splitlines() if line.startswith("m=audio")
        )
        assert set(profiles) == ({"RTP/SAVP"} if srtp is Srtp.MANDATORY else {"RTP/AVP"})
        keys = sum("a=crypto" in message.text for message in messages)
        assert (keys >= sum(profiles.values())) == (srtp is not Srtp.OFF)
    finally:
        adapter.close()
