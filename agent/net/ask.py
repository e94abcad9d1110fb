"""One question to one DNS server: UDP, and TCP where the answer did not fit (RFC 1035, 7766)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.NAPTR
import dns.rdtypes.IN.SRV

from agent.net.names import Address, Naptr, Question, Rdata, Srv
from agent.net.replies import DnsError, Reply, Server

UDP_PAYLOAD: Final = 1232
"""DNS flag day 2020: what passes without fragments."""
MAX_CHAIN: Final = 8
_MAX_TEXT: Final = 255


async def ask(server: Server, question: Question, timeout_s: float) -> Reply:
    """Ask. Raises DnsError: no answer in time, a broken one, or one that is a refusal."""
    try:
        name = dns.name.from_text(question.name)
        query = dns.message.make_query(name, question.kind.value, use_edns=0, payload=UDP_PAYLOAD)
    except (dns.exception.DNSException, ValueError) as error:
        raise DnsError(f"{question.name} is not a name that can be asked for") from error
    try:
        async with asyncio.timeout(timeout_s):
            response = await _by_udp(server, query)
            if response.flags & dns.flags.TC:
                response = await _by_tcp(server, query)
    except TimeoutError:
        raise DnsError(f"{server} did not answer for {question.kind} within {timeout_s:g} s") from None
    except (OSError, EOFError) as error:
        raise DnsError(f"{server} cannot be reached: {error}") from error
    return read(response, question)


def read(response: dns.message.Message, question: Question) -> Reply:
    """What a response says about a question. Raises DnsError where it says that it can't."""
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise DnsError(f"the answer for {question.kind} is {dns.rcode.to_text(response.rcode())}")
    wanted = dns.rdatatype.from_text(question.kind.value)
    name = dns.name.from_text(question.name)
    ttls: list[int] = []
    for _ in range(MAX_CHAIN):
        found = [one for one in response.answer if one.name == name]
        records = [one for one in found if one.rdtype == wanted]
        if records:
            ttls += [one.ttl for one in records]
            read_ones = tuple(one for rrset in records for rdata in rrset if (one := _record(rdata)) is not None)
            return Reply(read_ones, min(ttls))
        chain = [one for one in found if one.rdtype == dns.rdatatype.CNAME]
        if not chain:
            alias = "" if not ttls or response.rcode() == dns.rcode.NXDOMAIN else _text(name)
            return Reply((), min(ttls, default=0), alias)
        ttls.append(chain[0].ttl)
        name = chain[0][0].target
    raise DnsError(f"the answer for {question.kind} is a chain of more than {MAX_CHAIN} names")


def _record(rdata: object) -> Rdata | None:
    match rdata:
        case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
            return Address(rdata.address)
        case dns.rdtypes.IN.SRV.SRV():
            return Srv(rdata.priority, rdata.weight, rdata.port, _text(rdata.target))
        case dns.rdtypes.IN.NAPTR.NAPTR():
            flags = rdata.flags[:_MAX_TEXT].decode("ascii", "replace")
            service = rdata.service[:_MAX_TEXT].decode("ascii", "replace")
            return Naptr(rdata.order, rdata.preference, flags, service, _text(rdata.replacement))
        case _:
            return None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


class _Waiter(asyncio.DatagramProtocol):
    """Takes the first datagram that answers the query; anything else may be forged, and is not the end of waiting."""

    def __init__(self, query: dns.message.Message) -> None:
        self._query = query
        self.answer: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        with contextlib.suppress(DnsError):
            response = _parse(data, self._query)
            if not self.answer.done():
                self.answer.set_result(response)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _by_udp(server: Server, query: dns.message.Message) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    transport, waiter = await loop.create_datagram_endpoint(
        lambda: _Waiter(query), remote_addr=(server.ip, server.port)
    )
    try:
        transport.sendto(query.to_wire())
        return await waiter.answer
    finally:
        transport.close()


async def _by_tcp(server: Server, query: dns.message.Message) -> dns.message.Message:
    reader, writer = await asyncio.open_connection(server.ip, server.port)
    try:
        wire = query.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        length = int.from_bytes(await reader.readexactly(2), "big")
        return _parse(await reader.readexactly(length), query)
    finally:
        writer.close()


def _parse(data: bytes, query: dns.message.Message) -> dns.message.Message:
    try:
        response = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False)
        if query.is_response(response):
            return response
    except (dns.exception.DNSException, ValueError, IndexError, KeyError) as error:
        raise DnsError("the answer is not a DNS message") from error
    raise DnsError("the answer is not one to our question")
