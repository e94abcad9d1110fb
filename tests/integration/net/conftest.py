"""A DNS server on loopback that answers as it is told to: right, late, broken, forged, or not at all."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from agent.net.replies import Server


class Zone(asyncio.DatagramProtocol):
    """Records by name and kind; `mood` is what becomes of an answer on its way out."""

    def __init__(self):
        self.records = {}
        self.asked = []
        self.mood = "kind"
        self.ttl = 300
        self.was_asked = asyncio.Event()
        self.transport = self.tcp = None

    def put(self, name, kind, *texts):
        self.records[name, kind] = texts

    async def start(self):
        """On a port that is free for datagrams and for connections: the one says nothing of the other."""
        loop = asyncio.get_running_loop()
        while self.tcp is None:
            self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
            port = self.transport.get_extra_info("sockname")[1]
            try:
                self.tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", port)
            except OSError:
                self.transport.close()
        self.server = Server("127.0.0.1", port)
        return self

    async def stop(self):
        self.transport.close()
        self.tcp.close()
        await self.tcp.wait_closed()

    def answer(self, query):
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        for _ in range(20):
            found = self.records.get((name, kind))
            alias = self.records.get((name, "CNAME"))
            if found:
                response.answer.append(dns.rrset.from_text(name + ".", self.ttl, "IN", kind, *found))
                return response
            if not alias:
                break
            response.answer.append(dns.rrset.from_text(name + ".", self.ttl, "IN", "CNAME", alias[0] + "."))
            name = alias[0]
        if not any(known == name for known, _ in self.records) and self.mood != "no chain":
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def datagram_received(self, data, addr):
        query = dns.message.from_wire(data)
        if self.mood == "silent":
            self.was_asked.set()
            return
        response = self.answer(query)
        match self.mood:
            case "servfail":
                response.answer.clear()
                response.set_rcode(dns.rcode.SERVFAIL)
            case "forged first":
                lie = dns.message.make_response(query)
                lie.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", "203.0.113.66"))
                lie.id ^= 1
                self.transport.sendto(lie.to_wire(), addr)
                self.transport.sendto(b"\x00" * 40, addr)
                self.transport.sendto(b"", addr)
            case "other question":
                other = dns.message.make_response(dns.message.make_query("other.example", "A", id=query.id))
                other.answer.append(dns.rrset.from_text("other.example.", 300, "IN", "A", "203.0.113.66"))
                self.transport.sendto(other.to_wire(), addr)
                return
            case "garbage":
                self.transport.sendto(data[:2] + b"\xff" * 200, addr)
                return
            case "truncated":
                response.answer.clear()
                response.flags |= dns.flags.TC
        self.transport.sendto(response.to_wire(max_size=65_535), addr)

    async def _serve_tcp(self, reader, writer):
        try:
            length = int.from_bytes(await reader.readexactly(2), "big")
            wire = self.answer(dns.message.from_wire(await reader.readexactly(length))).to_wire(max_size=65_535)
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def zone():
    made = await Zone().start()
    yield made
    await made.stop()


@pytest.fixture
async def other_zone():
    made = await Zone().start()
    yield made
    await made.stop()
