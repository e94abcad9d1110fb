"""What may be a range of the operator's addresses, what may not, and whose an address is."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.ranges import RangeError, Ranges, parse_range, parse_ranges


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("127.0.0.0/8", "127.0.0.0/8"),
    ],
)
def test_a_range_is_read(text, network):
    assert str(parse_range(text)) == network


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0.0.0.0/0", "'0.0.0.0/0' is far too wide: a range has at least a /8"),
        ("::/0", "'::/0' is far too wide: a range has at least a /16"),
        ("64.0.0.0/7", "'64.0.0.0/7' is far too wide: a range has at least a /8"),
        ("2000::/3", "'2000::/3' is far too wide: a range has at least a /16"),
        ("192.0.2.1/24", "'192.0.2.1/24' has bits set beyond its prefix; 192.0.2.0/24 may be meant"),
        ("224.0.0.0/8", "'224.0.0.0/8' is no range that anybody sends from"),
        ("ff02::/16", "'ff02::/16' is no range that anybody sends from"),
        ("0.0.0.0/8", "'0.0.0.0/8' is no range that anybody sends from"),
        ("::ffff:192.0.2.1", "'::ffff:192.0.2.1' is an IPv4 address in IPv6 clothes: write it as 192.0.2.1"),
        ("", "'' is no address range; 192.0.2.0/24 or 2001:db8::/32 is one"),
        ("sip.example.net", "'sip.example.net' is no address range; 192.0.2.0/24 or 2001:db8::/32 is one"),
        ("192.0.2.0/33", "'192.0.2.0/33' is no address range; 192.0.2.0/24 or 2001:db8::/32 is one"),
        ("192.0.2.0/24; drop", "'192.0.2.0/24; drop' is no address range; 192.0.2.0/24 or 2001:db8::/32 is one"),
        ("fe80::1%eth0", "'fe80::1%eth0' is no address range; 192.0.2.0/24 or 2001:db8::/32 is one"),
        ("١٩٢.0.2.0/24", None),
        ("1" * 65, None),
    ],
)
def test_what_is_no_range_is_refused_with_a_sentence(text, complaint):
    with pytest.raises(RangeError) as caught:
        parse_range(text)
    assert str(caught.value).isascii()
    assert complaint in (None, str(caught.value))


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("192.0.2.255", True), ("192.0.3.0", False), ("2001:db8:ffff::1", True), ("2001:db9::1", False),
        ("::ffff:192.0.2.9", True), ("", False), ("sip.example.net", False), ("192.0.2.9 ", False),
    ],
)  # fmt: skip
def test_whose_an_address_is(address, inside):
    assert (address in Ranges(parse_ranges(["192.0.2.0/24", "2001:db8::/32"]))) is inside


def test_without_ranges_nobody_is_known():
    assert "192.0.2.1" not in Ranges()


@given(st.text(max_size=80) | st.text(alphabet="0123456789abcdef.:/%", max_size=80))
def test_any_text_is_a_range_or_is_refused(text):
    try:
        network = parse_range(text)
    except RangeError:
        return
    assert ipaddress.ip_network(str(network)) == network
    assert network.prefixlen >= (8 if network.version == 4 else 16)


@given(st.binary(min_size=4, max_size=4), st.integers(0, 32))
def test_every_network_of_a_fair_size_is_a_range(packed, prefix):
    network = ipaddress.ip_network((packed, prefix), strict=False)
    fair = prefix >= 8 and not network.is_multicast and not network.network_address.is_unspecified
    if fair:
        assert parse_range(str(network)) == network
    else:
        with pytest.raises(RangeError):
            parse_range(str(network))
