"""The SIP side of the gateway: the only package that imports pjsua2.

pjsua2 aborts the process where it is misused, so the rules of use live here and nowhere else: one thread owns every
object, nothing is answered or refused inside a callback, ports live as long as the stack, and ends are ordered.
"""

from __future__ import annotations

from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.port import Speech
from agent.gateway.daemon.sip.roster import MAX_ACCOUNTS
from agent.gateway.daemon.sip.stack import SipStack

__all__ = ["MAX_ACCOUNTS", "SipError", "SipStack", "Speech"]
