"""The packet filter as data, and as a script for `nft`: who reaches the adapter's SIP and speech ports.

What is given here comes from a process without privilege and is loaded by one that has it all. So nothing is passed on:
the script is made of numbers and addresses that were read as such, and only the adapter's own ports can be named.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agent.core.ranges import Network

TABLE = "inet iplink"
MAX_PORTS = 16
MAX_NETWORKS = 128
"""The operator's 32 ranges and eight targets of each of eight accounts."""
MAX_RTP_PORTS = 1024
LOWEST_UDP = 1024
_HIGHEST = 65_535


class FilterError(ValueError):
    """A filter that is not loaded; the message says what is wrong with it."""


class PacketFilter(Struct, frozen=True):
    """Who may reach which UDP ports. `rtp`: first and last port; without `media` it is left alone.

    TCP is not guarded: the SIP library's listeners are deaf, and nothing else of the adapter's is shut to strangers.
    Raises FilterError where a port is not one of an adapter's, or nobody would be left to reach it.
    """

    sip_udp: tuple[int, ...]
    rtp: tuple[int, int]
    signalling: tuple[Network, ...]
    media: tuple[Network, ...]

    def __post_init__(self) -> None:
        """Check every bound."""
        if len(self.sip_udp) > MAX_PORTS:
            raise FilterError(f"sip_udp has {len(self.sip_udp)} ports; at most {MAX_PORTS} are allowed")
        for port in self.sip_udp:
            if not LOWEST_UDP <= port <= _HIGHEST:
                raise FilterError(f"sip_udp has port {port}; allowed are {LOWEST_UDP} to {_HIGHEST}")
        first, last = self.rtp
        if not LOWEST_UDP <= first <= last <= _HIGHEST:
            raise FilterError(f"rtp has ports {first} to {last}; allowed are {LOWEST_UDP} to {_HIGHEST}, upwards")
        if last - first >= MAX_RTP_PORTS:
            raise FilterError(f"rtp has {last - first + 1} ports; at most {MAX_RTP_PORTS} are allowed")
        if not self.sip_udp:
            raise FilterError("there is no SIP port to guard")
        if not self.signalling:
            raise FilterError("signalling is empty: nobody could call")
        for name, networks in (("signalling", self.signalling), ("media", self.media)):
            if len(networks) > MAX_NETWORKS:
                raise FilterError(f"{name} has {len(networks)} ranges; at most {MAX_NETWORKS} are allowed")


def nft_script(wanted: PacketFilter) -> str:
    """The script for `nft -f -` that puts the filter into force in one transaction, in place of an earlier one.

    Answers to what the adapter itself has sent always pass, so that a target that is not yet in a set, or an emergency
    call to one, is never cut off; so does loopback. Ports that are not the adapter's are not touched.
    """
    rules = _guard(_elements(sorted(set(wanted.sip_udp))), "operator_signalling")
    if wanted.media:
        rules += _guard(f"{wanted.rtp[0]}-{wanted.rtp[1]}", "operator_media")
    lines = [
        # The first makes sure that there is one to delete; nothing of this is seen before all of it is in force.
        f"add table {TABLE}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        *_sets("operator_signalling", wanted.signalling),
        *_sets("operator_media", wanted.media),
        "  chain input {",
        "    type filter hook input priority filter; policy accept;",
        '    iifname "lo" accept',
        "    ct direction reply accept",
        *(f"    {rule}" for rule in rules),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _guard(ports: str, allowed: str) -> list[str]:
    return [
        f"udp dport {{ {ports} }} ip saddr @{allowed}4 accept",
        f"udp dport {{ {ports} }} ip6 saddr @{allowed}6 accept",
        f"udp dport {{ {ports} }} counter drop",
    ]


def _sets(name: str, networks: Iterable[Network]) -> list[str]:
    lines = []
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        members = sorted({network for network in networks if network.version == version})
        lines += [f"  set {name}{version} {{", f"    type {kind}; flags interval; auto-merge;"]
        if members:
            lines.append(f"    elements = {{ {_elements(members)} }}")
        lines.append("  }")
    return lines


def _elements(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
