"""The program of a socket's own packet filter, run as the kernel would."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.ranges import parse_range, parse_ranges
from agent.core.source_filter import drop_all, take_from

HEADER = 0xFFF0_0000


def takes(program, source):
    """What the kernel's interpreter would say of a packet from this address (linux/filter.h)."""
    address = ipaddress.ip_address(source)
    packet = bytearray(40)
    packet[0] = address.version << 4
    at = 12 if address.version == 4 else 8
    packet[at : at + len(address.packed)] = address.packed
    counter = accumulator = 0
    while True:
        code, true, false, operand = program[counter]
        counter += 1
        if code == 0x06:
            return bool(operand)
        if code == 0x05:
            counter += operand
        elif code == 0x15:
            counter += true if accumulator == operand else false
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x74:
            accumulator >>= operand
        else:
            size = {0x20: 4, 0x30: 1}[code]
            accumulator = int.from_bytes(packet[operand - HEADER : operand - HEADER + size], "big")


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("192.0.2.0", True), ("192.0.2.255", True), ("192.0.3.0", False), ("198.51.100.7", True),
        ("198.51.100.6", False), ("2001:db8:1:ffff::1", True), ("2001:db8:2::", False), ("2001:db8:3::7", True),
        ("2001:db8:3::8", False), ("10.9.9.9", True), ("::c000:200", False),
    ],
)  # fmt: skip
def test_who_is_in_a_range_is_taken(source, taken):
    ranges = ["192.0.2.0/24", "198.51.100.7", "2001:db8:1::/48", "2001:db8:3::7", "10.0.0.0/8"]
    assert takes(take_from(parse_ranges(ranges)), source) is taken


def test_without_ranges_nobody_is():
    assert not takes(take_from(()), "192.0.2.1")
    assert not takes(take_from(()), "2001:db8::1")
    assert not takes(drop_all(), "127.0.0.1")


def test_as_many_ranges_as_there_may_be_fit():
    v6 = [parse_range(f"2001:db8:{n:x}::/47") for n in range(0, 256, 2)]
    program = take_from([*v6, *(parse_range(f"10.{n}.0.0/17") for n in range(128))])
    assert len(program) < 4096
    assert takes(program, "2001:db8:fe::1")
    assert takes(program, "10.127.1.1")
    assert not takes(program, "10.127.128.1")
    with pytest.raises(ValueError, match="4096"):
        take_from([parse_range(f"2001:db8::{n:x}") for n in range(1, 1000)])


networks = st.builds(
    lambda address, prefix: ipaddress.ip_network((address, min(prefix, address.max_prefixlen)), strict=False),
    st.ip_addresses(),
    st.integers(0, 128),
)


@given(st.lists(networks, max_size=8), st.ip_addresses())
def test_the_program_agrees_with_the_ranges(ranges, source):
    assert takes(take_from(ranges), source) is any(source in network for network in ranges)
