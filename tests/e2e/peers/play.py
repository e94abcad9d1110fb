"""SIPp scenarios put together from steps: what one peer does and expects, in order, as text for a test to read."""

from __future__ import annotations

import re
from pathlib import Path

EVENT_TYPE = 120
"""Payload type of telephone-events in both directions: the one that the adapter offers."""
_SDP = f"""
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=peer 1 {{version}} IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] {{address}}
      t=0 0
      m=audio [media_port] RTP/AVP 8 {EVENT_TYPE}
      a=rtpmap:8 PCMA/8000
      a=rtpmap:{EVENT_TYPE} telephone-event/8000
      a={{direction}}
"""
_EMPTY = """
      Content-Length: 0

"""
_SESSION = "\n      Supported: timer\n      Session-Expires: 90;refresher={refresher}"
_METHODS = "INVITE, ACK, BYE, CANCEL"


_KEPT = "".join(
    f'<ereg regexp=".*" search_in="hdr" header="{header}:" occurrence="{at}" assign_to="{variable}"/>'
    for header, at, variable in (("From", 1, 1), ("Via", 1, 2), ("Via", 2, 3), ("Record-Route", 1, 4), ("To", 1, 5),
                                 ("CSeq", 1, 6))
)  # fmt: skip
"""What a reply to an INVITE needs when another message has come since."""
_LATE_REPLY = """
      SIP/2.0 {status}
      Via:[$2]
      Via:[$3]{route}
      From:[$1]
      To:[$5]{tag}
      Call-ID: [call_id]
      CSeq:[$6]
      Contact: <sip:peer@[local_ip]:[local_port]>"""


def _message(text: str, body: str = _EMPTY, *, retransmit: bool = False) -> str:
    again = ' retrans="500"' if retransmit else ""
    return f"<send{again}><![CDATA[\n{text.rstrip()}{body.rstrip(' ')}    ]]></send>"


def _request(method: str, number: int, *, contact: bool = True) -> str:
    """A request of the peer in the dialog that is going on."""
    here = "\n      Contact: <sip:peer@[local_ip]:[local_port]>" if contact else ""
    return f"""
      {method} [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      [routes]
      From: <sip:peer@[local_ip]:[local_port]>;tag=[pid]peer[call_number]
      To:[$1]
      Call-ID: [call_id]
      CSeq: {number} {method}{here}
      Max-Forwards: 70"""


def _notify(number: int, event: str, state: str, kind: str) -> str:
    more = f"\n      Event: {event}\n      Subscription-State: {state}\n      Content-Type: {kind}"
    return _request("NOTIFY", number) + more


def _reply(status: str, body: str = _EMPTY, *, tag: str = "", more: str = "", retransmit: bool = False) -> str:
    return _message(
        f"""
      SIP/2.0 {status}
      [last_Via:]
      [last_Record-Route:]
      [last_From:]
      [last_To:]{tag}
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:peer@[local_ip]:[local_port]>{more}""",
        body,
        retransmit=retransmit,
    )


def _sdp(direction: str = "sendrecv", version: int = 1, address: str = "[media_ip]") -> str:
    return _SDP.format(direction=direction, version=version, address=address)


def _expects(request: str, part: str = "", where: str = 'search_in="body"') -> str:
    if not part:
        return f'<recv request="{request}"/>'
    check = f'<ereg regexp="{part}" {where} check_it="true" assign_to="9"/>'
    return f'<recv request="{request}"><action>{check}</action></recv>'


def _offered(direction: str, answer: str, more: str = "") -> str:
    reply = _reply("200 OK", _sdp(answer, 2), more=more, retransmit=True)
    return "".join([_expects("INVITE", f"a={direction}"), reply, _expects("ACK")])


class Callee:
    """A peer that is called. Each method adds a step."""

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._tag = ";tag=[pid]peer[call_number]"
        self._own = 0
        """Requests of its own in the dialog so far."""

    def _add(self, *steps: str) -> Callee:
        self._steps += steps
        return self

    def invited(self, part: str = "") -> Callee:
        """An INVITE comes; `part`: what its first header lines must hold."""
        who = '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="1"/>'
        check = f'<ereg regexp="{part}" search_in="msg" check_it="true" assign_to="9"/>' if part else ""
        return self._add(f'<recv request="INVITE" rrs="true"><action>{who}{check}</action></recv>')

    def rings(self) -> Callee:
        return self._add(_reply("180 Ringing", tag=self._tag))

    def says(self, status: str, *, sound: bool = False) -> Callee:
        """A provisional response, with sound of its own or without; not too soon after the one before."""
        return self._add(_reply(status, _sdp() if sound else _EMPTY, tag=self._tag), '<pause milliseconds="200"/>')

    def offers(self, direction: str, answer: str, *, method: str = "INVITE", address: str = "[media_ip]") -> Callee:
        """A new offer from its side, and what the adapter must make of it."""
        self._own += 1
        check = f'<ereg regexp="a={answer}" search_in="body" check_it="true" assign_to="9"/>'
        self._add(
            _message(
                _request(method, self._own), _sdp(direction, 1 + self._own, address),
                retransmit=True,
            ),
            '<recv response="100" optional="true"/>',
            f'<recv response="200"><action>{check}</action></recv>',
        )  # fmt: skip
        return self._add(_message(_request("ACK", self._own))) if method == "INVITE" else self

    def plays(self, recording: str) -> Callee:
        """Music: a raw A-law file in the folder of the test, over and over."""
        return self._add(f'<nop><action><exec rtp_stream="{recording},-1,8,PCMA/8000"/></action></nop>')

    def stops(self) -> Callee:
        return self._add('<nop><action><exec rtp_stream="pause"/></action></nop>')

    def waits(self, ms: int) -> Callee:
        return self._add(f'<pause milliseconds="{ms}"/>')

    def answers(self, *, refresher: str = "", methods: str = _METHODS) -> Callee:
        """200; `refresher` (uac: the adapter, uas: this peer) agrees to a session of 90 s (RFC 4028)."""
        session = "\n      Require: timer" + _SESSION.format(refresher=refresher) if refresher else ""
        more = f"{session}\n      Allow: {methods}"
        return self._add(_reply("200 OK", _sdp(), tag=self._tag, more=more, retransmit=True), _expects("ACK"))

    def refuses(self, status: str, *headers: str) -> Callee:
        more = "".join(f"\n      {header}" for header in headers)
        return self._add(_reply(status, tag=self._tag, more=more), _expects("ACK"))

    def refreshes(self, method: str) -> Callee:
        """It refreshes the session, and stays the one that does."""
        self._own += 1
        check = '<ereg regexp="90;refresher=uac" search_in="hdr" header="Session-Expires:" check_it="true" '
        body = _sdp() if method == "INVITE" else _EMPTY
        self._add(
            _message(_request(method, self._own) + _SESSION.format(refresher="uac"), body, retransmit=True),
            '<recv response="100" optional="true"/>',
            f'<recv response="200"><action>{check} assign_to="9"/></action></recv>',
        )
        return self._add(_message(_request("ACK", self._own))) if method == "INVITE" else self

    def is_refreshed(self, method: str) -> Callee:
        """The adapter refreshes the session, and stays the one that does."""
        invited = method == "INVITE"
        self._add(
            _expects(method, "90;refresher=uac", 'search_in="hdr" header="Session-Expires:"'),
            _reply("200 OK", _sdp() if invited else _EMPTY, more=_SESSION.format(refresher="uac"), retransmit=invited),
        )
        return self._add(_expects("ACK")) if invited else self

    def answers_although_cancelled(self) -> Callee:
        """Takes the call in the moment in which it is given up: the 200 and the CANCEL cross on the wire."""
        self._add(f'<recv request="INVITE" rrs="true"><action>{_KEPT}</action></recv>').rings()
        late = _message(_LATE_REPLY.format(status="200 OK", tag=self._tag, route="\n      Record-Route:[$4]"), _sdp())
        return self._add(_expects("CANCEL"), _reply("200 OK"), late, _expects("ACK"))

    def offers_at_the_same_time(self, direction: str) -> Callee:
        """An offer of this direction comes while its own is under way: each is refused (RFC 3261 §14.2)."""
        self._own += 1
        check = f'<ereg regexp="a={direction}" search_in="body" check_it="true" assign_to="9"/>'
        end = f"""
      ACK [next_url] SIP/2.0
      [last_Via:]
      [routes]
      [last_From:]
      [last_To:]
      Call-ID: [call_id]
      CSeq: {self._own} ACK
      Max-Forwards: 70"""
        return self._add(
            f'<recv request="INVITE"><action>{check}{_KEPT}</action></recv>',
            _message(_request("INVITE", self._own), _sdp("sendrecv", 1 + self._own)),
            '<recv response="100" optional="true"/>',
            '<recv response="491"/>',
            _message(end),
            _message(_LATE_REPLY.format(status="491 Request Pending", tag="", route="")),
            _expects("ACK"),
        )

    def presses(self, capture: str) -> Callee:
        """Plays a capture of telephone-events (see `capture.write_keys`) in the folder of the test."""
        return self._add(f'<nop><action><exec play_pcap_audio="{capture}"/></action></nop>')

    def is_cancelled(self) -> Callee:
        return self._add(_expects("CANCEL"), _reply("200 OK"))

    def is_held(self, *, refresher: str = "") -> Callee:
        return self._add(_offered("sendonly", "recvonly", _SESSION.format(refresher=refresher) if refresher else ""))

    def is_resumed(self) -> Callee:
        return self._add(_offered("sendrecv", "sendrecv"))

    def refuses_offer(self, status: str, direction: str = "sendonly") -> Callee:
        """A new offer comes, and is refused."""
        return self._add(_expects("INVITE", f"a={direction}"), _reply(status), _expects("ACK"))

    def says_nothing_to_offer(self) -> Callee:
        """A new offer comes, and nothing goes back, however often it is sent."""
        return self._add(_expects("INVITE", "a=sendonly"))

    def is_asked_to_call(self, part: str, status: str = "200 OK") -> Callee:
        """REFER with this in Refer-To: taken, and told by NOTIFY how it went (RFC 3515)."""
        asked = _expects("REFER", part, 'search_in="hdr" header="Refer-To:"')
        notify = _message(
            _notify(1, "refer", "terminated;reason=noresource", "message/sipfrag;version=2.0"),
            f"\n      Content-Length: [len]\n\n      SIP/2.0 {status}\n",
        )
        return self._add(asked, _reply("202 Accepted"), notify, '<recv response="200"/>')

    def keeps_messages(self, *counts: int) -> Callee:
        """SUBSCRIBE to a mailbox comes, and is told one after the other how many new messages there are (RFC 3842)."""
        who = '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="1"/>'
        self._add(
            f'<recv request="SUBSCRIBE" rrs="true"><action>{who}</action></recv>',
            _reply("200 OK", tag=self._tag, more="\n      Expires: 3600"),
        )
        for number, new in enumerate(counts, 1):
            self._add(
                _message(
                    _notify(number, "message-summary", "active;expires=3600", "application/simple-message-summary"),
                    f"""
      Content-Length: [len]

      Messages-Waiting: {"yes" if new else "no"}
      Voice-Message: {new}/0
""",
                ),
                '<recv response="200"/>',
                '<pause milliseconds="2000"/>',
            )
        return self

    def is_left(self) -> Callee:
        """BYE comes."""
        return self._add(_expects("BYE"), _reply("200 OK"))

    def leaves(self, after_ms: int = 0) -> Callee:
        """BYE goes."""
        bye = _message(_request("BYE", 7, contact=False))
        return self._add(f'<pause milliseconds="{after_ms}"/>', bye, '<recv response="200"/>')

    def write(self, folder: Path, name: str) -> str:
        """The scenario as a file; what `Sipp` calls it."""
        used = sorted(set(re.findall(r'assign_to="(\d)"', "".join(self._steps))))
        reference = f'<Reference variables="{",".join(used)}"/>' if used else ""
        text = "\n".join(self._steps)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
        (folder / f"{name}.xml").write_text(f'{head}<scenario name="{name}">\n{text}\n{reference}</scenario>\n')
        return str(folder / name)


class Caller(Callee):
    """A peer that calls the number given to SIPp by `-s`; `headers`: what its INVITE says besides."""

    def __init__(self, *headers: str) -> None:
        super().__init__()
        more = "".join(f"\n      {header}" for header in headers)
        self._from = "<sip:+4722000099@[local_ip]:[local_port]>;tag=[pid]caller[call_number]"
        self._add(
            _message(
                f"""
      INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: {self._from}
      To: <sip:[service]@[remote_ip]:[remote_port]>
      Call-ID: [call_id]
      CSeq: 1 INVITE
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70{more}""",
                _sdp(),
                retransmit=True,
            ),
            '<recv response="100" optional="true"/>',
        )

    def hears_ringing(self) -> Caller:
        self._add('<recv response="180"/>')
        return self

    def is_told_to_wait(self) -> Caller:
        """182, and 180 that says that the other one is in a conversation."""
        check = (
            '<ereg regexp="urn:alert:service:call-waiting" search_in="hdr" header="Alert-Info:" check_it="true" '
            'assign_to="9"/>'
        )
        self._add('<recv response="182"/>', f'<recv response="180"><action>{check}</action></recv>')
        return self

    def is_answered(self) -> Caller:
        self._add('<recv response="200" rrs="true"/>', self._in_dialog("ACK", 1))
        return self

    def is_refused(self, code: int, part: str = "") -> Caller:
        check = (
            f'<action><ereg regexp="{part}" search_in="msg" check_it="true" assign_to="9"/></action>' if part else ""
        )
        self._add(f'<recv response="{code}">{check}</recv>')
        self._add(
            _message(
                f"""
      ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      [last_Via:]
      From: {self._from}
      [last_To:]
      Call-ID: [call_id]
      CSeq: 1 ACK
      Max-Forwards: 70"""
            )
        )
        return self

    def leaves(self, after_ms: int = 0) -> Caller:
        self._add(f'<pause milliseconds="{after_ms}"/>', self._in_dialog("BYE", 2), '<recv response="200"/>')
        return self

    def _in_dialog(self, method: str, number: int) -> str:
        return _message(
            f"""
      {method} [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      [routes]
      From: {self._from}
      To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: {number} {method}
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70"""
        )
