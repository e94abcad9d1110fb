"""A technician's way to the gateway: a socket beside the agent's, for one order at a time and what becomes of it.

The agent's socket belongs to the newest agent; this one takes any number of short visits, and works without an agent.
Each packet is one JSON record; a firmware image travels as an open file beside its order (SCM_RIGHTS), since the
gateway's user may not be allowed to read what a technician has brought. Root and the gateway's own user may order.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.protocol import MAX_PACKET, Exercise, ProtocolError
from agent.gateway.record import Record, Short

SOCKET_NAME: Final = "control.sock"


class UpdateCard(Record, frozen=True, kw_only=True, tag="update_card"):
    """Write the firmware image in the file that comes along to the line card; `forced`: also an older one."""

    request: Short
    forced: bool = False


Order = Exercise | UpdateCard
Answer = LineTestState | UpdateState

_encoder = msgspec.json.Encoder()
_order_decoder = msgspec.json.Decoder(Order)
_answer_decoder = msgspec.json.Decoder(Answer)


class ControlError(Exception):
    """The gateway cannot be reached, or does not answer; the message says what to do."""


def decode_order(packet: bytes) -> Order:
    """The order in a packet. Raises ProtocolError naming the field that was wrong."""
    try:
        order: Order = _order_decoder.decode(packet)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not an order: {error}") from error
    return order


def regular_file(descriptor: int) -> int:
    """The size of an open file. Raises OSError for a pipe or a device: its reader could wait for ever."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no regular file")
    return status.st_size


def converse(path: Path, order: Order, *, patience_s: float, file: int | None = None) -> Iterator[Answer]:
    """Give an order to the gateway at `path` and yield what becomes of it, until the caller stops listening.

    `file`: the descriptor that goes with an UpdateCard. Raises ControlError where there is no gateway, or nothing is
    heard for `patience_s`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(patience_s)
        try:
            connection.connect(str(path))
            packet = _encoder.encode(order)
            if file is None:
                connection.send(packet)
            else:
                socket.send_fds(connection, [packet], [file])
            while packet := connection.recv(MAX_PACKET):
                answer: Answer = _answer_decoder.decode(packet)
                yield answer
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ControlError(f"{path}: no gateway listens here; is it running?") from error
        except PermissionError as error:
            raise ControlError(f"{path}: permission denied; run this as root or as the gateway's user") from error
        except TimeoutError as error:
            raise ControlError(f"{path}: the gateway has said nothing for {patience_s:.0f} s") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ControlError(f"{path}: the gateway's answer is not understood; is it of this version?") from error
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror or error}") from error
    raise ControlError(f"{path}: the gateway has ended the conversation; its log says why")
