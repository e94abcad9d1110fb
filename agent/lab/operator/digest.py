"""Digest authentication of SIP requests (RFC 3261 §22, RFC 7616, RFC 8760): pure, time is an argument."""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Sequence

from msgspec import Struct

MAX_HEADER = 2048


class Algorithm(enum.StrEnum):
    """Hash of a challenge, by its name on the wire."""

    MD5 = "MD5"
    SHA256 = "SHA-256"


class Outcome(enum.Enum):
    """What a credential is worth."""

    ACCEPTED = enum.auto()
    STALE = enum.auto()
    """The password is right but the nonce is old or not ours: ask again with `stale=true`."""
    WRONG = enum.auto()


class DigestError(ValueError):
    """An Authorization header that cannot be read."""


class Credentials(Struct, frozen=True):
    """The parameters of an Authorization header. `qop` empty: the RFC 2069 form without counter."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm = Algorithm.MD5
    qop: str = ""
    nc: str = ""
    cnonce: str = ""


_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,|$)')
_REQUIRED = ("username", "realm", "nonce", "uri", "response")


def parse_credentials(header: str) -> Credentials:
    """Read the value of an Authorization or Proxy-Authorization header. Raises DigestError naming the parameter."""
    if len(header) > MAX_HEADER:
        raise DigestError(f"Authorization is longer than {MAX_HEADER} characters")
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "digest":
        raise DigestError("Authorization is not of the Digest scheme")
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            raise DigestError(f"Authorization cannot be read at character {position + len(scheme) + 1}")
        name = match[1].lower()
        if name in found:
            raise DigestError(f"Authorization has {name} twice")
        found[name] = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        position = match.end()
    for name in _REQUIRED:
        if not found.get(name):
            raise DigestError(f"Authorization lacks {name}")
    qop = found.get("qop", "").lower()
    if qop not in ("", "auth"):
        raise DigestError("Authorization has a qop other than auth")
    if qop and not (found.get("nc") and found.get("cnonce")):
        raise DigestError("Authorization has qop but not nc and cnonce")
    try:
        algorithm = Algorithm(found.get("algorithm", "MD5").upper())
    except ValueError as error:
        raise DigestError("Authorization has an algorithm other than MD5 and SHA-256") from error
    return Credentials(
        username=found["username"],
        realm=found["realm"],
        nonce=found["nonce"],
        uri=found["uri"],
        response=found["response"].lower(),
        algorithm=algorithm,
        qop=qop,
        nc=found.get("nc", ""),
        cnonce=found.get("cnonce", ""),
    )


def response_for(credentials: Credentials, method: str, password: str) -> str:
    """Return the digest that fits these parameters and this password (RFC 7616 §3.4.1), as lower-case hex."""

    def digest(text: str) -> str:
        data = text.encode()
        if credentials.algorithm is Algorithm.SHA256:
            return hashlib.sha256(data).hexdigest()
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    ha1 = digest(f"{credentials.username}:{credentials.realm}:{password}")
    ha2 = digest(f"{method}:{credentials.uri}")
    if credentials.qop:
        middle = f"{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}"
    else:
        middle = credentials.nonce
    return digest(f"{ha1}:{middle}:{ha2}")


class Authenticator:
    """Issues challenges and judges credentials. Nonces carry their own time under a key, so none is remembered."""

    def __init__(self, *, realm: str, key: bytes, nonce_lifetime_ms: int) -> None:
        self._realm = realm
        self._key = key
        self._lifetime_ms = nonce_lifetime_ms

    def challenges(self, algorithms: Sequence[Algorithm], now: int, *, stale: bool = False) -> list[str]:
        """Return the values of one WWW-Authenticate header per algorithm, in the given order."""
        nonce = self._nonce(now)
        tail = ", stale=true" if stale else ""
        return [
            f'Digest realm="{self._realm}", nonce="{nonce}", algorithm={algorithm.value}, qop="auth"{tail}'
            for algorithm in algorithms
        ]

    def judge(
        self, credentials: Credentials, *, method: str, password: str, algorithms: Sequence[Algorithm], now: int
    ) -> Outcome:
        """Return what the credentials are worth for this password at boot time `now` (ms)."""
        if credentials.realm != self._realm or credentials.algorithm not in algorithms:
            return Outcome.WRONG
        expected = response_for(credentials, method, password)
        if not hmac.compare_digest(expected.encode(), credentials.response.encode()):
            return Outcome.WRONG
        return Outcome.ACCEPTED if self._is_fresh(credentials.nonce, now) else Outcome.STALE

    def _nonce(self, at: int) -> str:
        stamp = f"{at:x}"
        return f"{stamp}.{hmac.digest(self._key, stamp.encode(), 'sha256').hex()[:32]}"

    def _is_fresh(self, nonce: str, now: int) -> bool:
        stamp, _, _ = nonce.partition(".")
        if not re.fullmatch(r"[0-9a-f]{1,16}", stamp):
            return False
        issued = int(stamp, 16)
        genuine = hmac.compare_digest(self._nonce(issued).encode(), nonce.encode())
        return genuine and 0 <= now - issued <= self._lifetime_ms
