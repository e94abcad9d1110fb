"""Far ends that send speech to where our SDP says, and nowhere else, with the house behind a router."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent.core.terms import CallPhase
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone
from tests import stun_server
from tests.e2e.netns.conftest import HOUSE, OPERATOR, PUBLIC
from tests.e2e.peers.capture import write_speech
from tests.e2e.peers.conftest import end

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp", "ip", "nft", "conntrack", "nsenter")]

HUM_HZ = 1400
STUN_PORT = 3478


@pytest.fixture
def answering():
    """Start a STUN server in a namespace."""
    made = []

    def start(namespace):
        program = [sys.executable, str(Path(stun_server.__file__)), OPERATOR, str(STUN_PORT)]
        made.append(subprocess.Popen([*namespace.inside, *program], start_new_session=True))

    yield start
    for one in made:
        end(one)


def named(message):
    """Where an SDP says that speech is to be sent."""
    return re.search(r"^c=IN IP4 ([\d.]+)", message.text, re.MULTILINE)[1]


def test_a_far_end_that_sends_only_where_the_sdp_says_is_heard_thanks_to_stun(village, answering):
    house = village()
    write_speech(house.adapter.folder / "first_words.pcap", encode_alaw(tone(HUM_HZ, 6000, -13.0)))
    # As every home's router does: what nobody has asked for is dropped, and leaves no trace in its tables.
    house.net.router.nft(
        'table ip guard { chain in { type filter hook input priority 0; iifname "wan" ct state new drop; }; }'
    )
    agent = house.adapter.agent
    agent.configure(
        msgspec.structs.replace(agent.configuration, revision="stun", stun_server=f"{OPERATOR}:{STUN_PORT}")
    )
    assert agent.wait(lambda: any(log.detail == "stun" for log in agent.logs)), house.adapter.story()
    silent = house.callee("answer", "22000104")
    house.adapter.dial("22000104")
    without = agent.call(number="+4722000104", phase=CallPhase.ANSWERED)
    house.hangs_up(silent, without)

    # It is asked when a handset is lifted.
    answering(house.net.operator)
    peer = house.callee("not_symmetric", "22000103", echo=False)
    house.adapter.dial("22000103")
    call = agent.call(number="+4722000103", phase=CallPhase.ANSWERED)
    assert house.adapter.hears(HUM_HZ), house.adapter.story()
    house.hangs_up(peer, call)
    offers = [one for one in house.adapter.messages() if one.sent and one.text.startswith("INVITE")]
    by_number = {re.search(r"sip:\+47(\d+)@", one.text)[1]: named(one) for one in offers}
    assert by_number == {"22000104": HOUSE, "22000103": PUBLIC}
    assert house.logged("stun_server_answers")
