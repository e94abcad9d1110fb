"""Whether a TLS server is who the operator says: asked before the SIP library may connect to it.

The library's own check depends on what it was built with: it takes a certificate that names the server only in its
common name, even where the alternative names say another. Here the rules are RFC 5922 §7: the chain leads to a trusted
root, it is valid today, and an alternative name is the very name of the route, without wildcards.
"""

from __future__ import annotations

import ipaddress
import select
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import clock
from agent.core.foreign_text import one_line
from agent.core.place import uri_host
from agent.core.target import Target

if TYPE_CHECKING:
    import ssl

TIMEOUT_S: Final = 4.0
"""For connection and handshake together."""
MAX_NAMES: Final = 4
"""Of those in a certificate that a refusal tells."""
SYSTEM_STORES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"), Path("/etc/ssl/cert.pem"),
)  # fmt: skip
"""Where Debian and Alpine, Fedora, and the rest keep the roots that they trust."""

_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_SELF_SIGNED: Final = frozenset({18, 19})
_NO_ISSUER: Final = frozenset({2, 20, 21})
"""X509_V_ERR_* of OpenSSL."""


class TlsRefusedError(Exception):
    """The server is not to be spoken to; the message is a sentence that says why."""


def system_store() -> Path | None:
    """The file of the roots that this system trusts."""
    return next((path for path in SYSTEM_STORES if path.is_file()), None)


def connect(target: Target, ca_file: Path | None, source: str = "", timeout_s: float = TIMEOUT_S) -> ssl.SSLSocket:
    """A connection to the server, which has shown that it is `target`. Raises TlsRefusedError."""
    # Late: an adapter whose operator has no TLS never loads it.
    import ssl

    deadline_ms = clock.boot_ms() + int(timeout_s * 1000)
    context = _context(ca_file)
    raw = None
    try:
        raw = socket.create_connection((target.address, target.port), timeout_s, (source, 0) if source else None)
        raw.setblocking(False)
        made = context.wrap_socket(raw, server_hostname=target.name or target.address, do_handshake_on_connect=False)
        raw = made
        _shake_hands(made, deadline_ms)
    except ssl.SSLCertVerificationError as error:
        _close(raw)
        raise TlsRefusedError(_sentence(target, error.verify_code, error.verify_message)) from error
    except TimeoutError as error:
        _close(raw)
        raise TlsRefusedError(f"{_place(target)} did not finish a TLS handshake within {timeout_s:g} s") from error
    except OSError as error:
        _close(raw)
        what = getattr(error, "reason", None) or error.strerror or str(error)
        raise TlsRefusedError(f"no TLS with {_place(target)}: {one_line(str(what))}") from error
    refusal = judge(made.getpeercert() or {}, target.name or target.address)
    if refusal:
        made.close()
        raise TlsRefusedError(f"the certificate of {_place(target)} {refusal}")
    return made


def refusal(target: Target, ca_file: Path | None, source: str = "") -> str:
    """Why a server is not to be spoken to, or ''; takes up to TIMEOUT_S."""
    try:
        connect(target, ca_file, source).close()
    except TlsRefusedError as error:
        return str(error)
    return ""


def judge(certificate: Mapping[str, object], name: str) -> str:
    """What is wrong with the names of a certificate, as `getpeercert` tells them, for a server called `name`; else ''.

    Once there is one alternative name, the common name counts for nothing (RFC 6125 §6.4.4); without any it does not,
    either.
    """
    names = _alternatives(certificate)
    if any(_is(kind, value, name) for kind, value in names):
        return ""
    common = _common_name(certificate)
    told = ", ".join(one_line(value, 64) for _, value in names[:MAX_NAMES])
    if common.lower() == name.lower():
        where = f"its alternative names are {told}" if names else "it has no alternative name"
        return f"names {name} only as its common name, which does not count: {where}"
    return f"is for {told or one_line(common, 64) or 'nobody'}, not for {name}"


def _is(kind: str, value: str, name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    if address is not None or kind == "IP Address":
        return kind == "IP Address" and address is not None and _same(address, value)
    bare = value.lower().removesuffix(".")
    if kind == "URI":
        return bare in (f"sip:{name.lower()}", f"sips:{name.lower()}")
    return kind == "DNS" and bare == name.lower()


def _same(address: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str) -> bool:
    try:
        return ipaddress.ip_address(text) == address
    except ValueError:
        return False


def _alternatives(certificate: Mapping[str, object]) -> list[tuple[str, str]]:
    entries = certificate.get("subjectAltName", ())
    assert isinstance(entries, Sequence)
    return [(str(kind), str(value)) for kind, value in entries]


def _common_name(certificate: Mapping[str, object]) -> str:
    subject = certificate.get("subject", ())
    assert isinstance(subject, Sequence)
    return next((str(value) for part in subject for kind, value in part if kind == "commonName"), "")


def _context(ca_file: Path | None) -> ssl.SSLContext:
    import ssl

    store = ca_file or system_store()
    if store is None:
        raise TlsRefusedError("there is no file of trusted roots: set one (sip_ca_file), or install ca-certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The names are judged here, by SIP's rules, which have no wildcards.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(store)
    except OSError as error:
        raise TlsRefusedError(f"{store} is no usable file of trusted roots: {error.strerror or error}") from error
    return context


def _shake_hands(connection: ssl.SSLSocket, deadline_ms: int) -> None:
    import ssl

    while True:
        left = (deadline_ms - clock.boot_ms()) / 1000
        if left <= 0:
            raise TimeoutError
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            select.select([connection], [], [], left)
        except ssl.SSLWantWriteError:
            select.select([], [connection], [], left)
        else:
            return


def _sentence(target: Target, code: int, words: str) -> str:
    place = _place(target)
    if code == _EXPIRED:
        return f"the certificate of {place} has expired"
    if code == _NOT_YET_VALID:
        return f"the certificate of {place} is not valid yet; is the clock right?"
    if code in _SELF_SIGNED:
        return f"the certificate of {place} is self-signed, or its root is not one that this adapter trusts"
    if code in _NO_ISSUER:
        return f"the certificate of {place} was issued by nobody that this adapter trusts"
    return f"the certificate of {place} is refused: {one_line(words)}"


def _place(target: Target) -> str:
    host = uri_host(target.address)
    return f"{target.name} ({host}:{target.port})" if target.name else f"{host}:{target.port}"


def _close(raw: socket.socket | None) -> None:
    if raw is not None:
        raw.close()
