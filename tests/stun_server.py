"""A STUN server that says what a test wants, or nothing; written from RFC 8489, not from our own reader.

As a program it says the truth, at ADDRESS PORT.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import threading

_COOKIE = 0x2112A442


def success(transaction, address, port):
    """A Binding success response with XOR-MAPPED-ADDRESS (§14.2)."""
    hidden = int(ipaddress.IPv4Address(address)) ^ _COOKIE
    value = struct.pack("!BBHI", 0, 1, port ^ (_COOKIE >> 16), hidden)
    body = struct.pack("!HH", 0x0020, len(value)) + value
    return struct.pack("!HHI", 0x0101, len(body), _COOKIE) + transaction + body


class StunServer:
    """Answers by `say(transaction, source)`, a list of datagrams; `asked` holds the port of each question."""

    def __init__(self, say=None, address="127.0.0.1", port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.place = f"{address}:{self.socket.getsockname()[1]}"
        self.say = say or self.truth
        self.asked = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def truth(self, transaction, source):
        return [success(transaction, *source)]

    def silence(self, transaction, source):
        return []

    def elsewhere(self, address, ports_up=1000):
        """As a router would make it look: another address, another port."""
        return lambda transaction, source: [success(transaction, address, source[1] + ports_up)]

    def close(self):
        self.socket.sendto(b"stop", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()

    def _serve(self):
        while True:
            message, source = self.socket.recvfrom(2048)
            if message == b"stop":
                return
            kind, length, cookie = struct.unpack_from("!HHI", message)
            assert (kind, length, cookie, len(message)) == (1, 0, _COOKIE, 20), message
            self.asked.append(source[1])
            for answer in self.say(message[8:20], source):
                self.socket.sendto(answer, source)


if __name__ == "__main__":
    StunServer(address=sys.argv[1], port=int(sys.argv[2])).thread.join()
