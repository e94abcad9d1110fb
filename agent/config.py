"""`agent.toml`: what an installation decides about its agent. The gateway needs nothing of it.

The Structs below are the one definition: they validate, they make the JSON Schema (`config/agent.schema.json`), and
their defaults are what an absent line means.
"""

from __future__ import annotations

import contextlib
import enum
import ipaddress
import json
import os
import stat
import urllib.parse
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent.config_check import MAX_PROBLEMS, problems, show
from agent.core.codecs import G711, KNOWN
from agent.core.dialplan import DialPlanError, compile_plan
from agent.core.foreign_map import MAX_MAP, read_map
from agent.core.numbers import EMERGENCY
from agent.core.ranges import MAX_RANGES, MAX_TEXT, RangeError, parse_range
from agent.core.srtp import Srtp
from agent.core.stun import MAX_TEXT as MAX_STUN_TEXT
from agent.core.stun import StunError, parse_server
from agent.core.terms import LineProfile
from agent.core.transports import Transport
from agent.files import write_whole
from agent.texts import Language
from agent.toml_file import TomlFileError, parse_toml, read_bytes

MAX_BYTES = 64 * 1024
MAX_CREDENTIAL = 256
_MAX_SOCKET_PATH = 107
"""sun_path of unix(7), less its terminating zero."""


class ConfigError(Exception):
    """The configuration cannot be used. Each of `problems` is a sentence that names the file and the setting."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class KeptCopyError(ConfigError):
    """The configuration is good and in force, but its copy for worse days could not be written."""


class LogLevel(enum.StrEnum):
    """The least severe event that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How events are written; `auto`: text on a terminal, JSON otherwise."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


def _text(description: str, allowed: str, *, pattern: str, longest: int = 255, empty: bool = False) -> Meta:
    return Meta(
        description=description,
        pattern=f"^$|{pattern}" if empty else pattern,
        max_length=longest,
        extra={"allowed": allowed},
    )


_PATH = "an absolute path (it begins with /)"


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections: immutable, nothing unknown."""


class OperatorSection(Section, frozen=True, kw_only=True):
    """The operator's platform, and who this adapter is to it."""

    url: Annotated[
        str,
        _text(
            "Base address of the operator's API. Plain http only to this machine itself.",
            "an address like https://api.example.net, without user, query or fragment",
            pattern="^https?://[^/?#@\\s]+(/[^?#@\\s]*)?$",
        ),
    ]
    device_id: Annotated[
        str,
        _text(
            "The adapter's name with the operator.",
            "1 to 64 letters, digits, dots, hyphens, underscores",
            pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            longest=64,
        ),
    ]
    credential_file: Annotated[
        str, _text("File with the device's secret on one line; not readable by others.", _PATH, pattern="^/.")
    ]
    ca_file: Annotated[
        str,
        _text(
            "PEM file of the operator's own certificate authority; empty: the system's.",
            _PATH,
            pattern="^/.",
            empty=True,
        ),
    ] = ""
    start_within_s: Annotated[
        int,
        Meta(
            description=(
                "After a power cut the first upload waits for a random time up to this, so that a district whose power"
                " comes back does not call at once; seconds, 0: never."
            ),
            ge=0,
            le=3600,
        ),
    ] = 900
    usage_period_s: Annotated[
        int,
        Meta(
            description="Seconds between two questions about what other devices of the customer have spent.",
            ge=10,
            le=86_400,
        ),
    ] = 900


_Range = Annotated[
    str, _text("An address range.", "192.0.2.0/24 or 2001:db8::/32", pattern="^[0-9A-Fa-f.:/]+$", longest=MAX_TEXT)
]


class PlainSection(Section, frozen=True, kw_only=True):
    """Instead of [operator]: an ordinary SIP adapter with any provider. No plan, no price, nothing is uploaded."""

    user: Annotated[
        str,
        _text(
            "User part of the SIP address, as the provider gave it.",
            "1 to 64 characters without spaces, @, : and /",
            pattern='^[^\\s@:/<>"]{1,64}$',
            longest=64,
        ),
    ]
    domain: Annotated[
        str,
        _text(
            "The provider's SIP domain.",
            "a host name of letters, digits, hyphens and dots",
            pattern="^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
            longest=64,
        ),
    ]
    number: Annotated[
        str,
        _text("The number that calls are made from.", "a number like +4722334455", pattern="^\\+[1-9][0-9]{4,14}$"),
    ]
    password_file: Annotated[
        str, _text("File with the SIP password on one line; not readable by others.", _PATH, pattern="^/.")
    ]
    auth_user: Annotated[
        str,
        _text(
            "Name in the digest credential; empty: the same as user.",
            "1 to 64 characters without spaces",
            pattern="^\\S{1,64}$",
            longest=64,
            empty=True,
        ),
    ] = ""
    targets: Annotated[
        list[
            Annotated[
                str,
                _text(
                    "A SIP server.",
                    "[name@]host[:port][;transport=udp]",
                    pattern="^([A-Za-z0-9.-]{1,100}@)?[A-Za-z0-9.:\\[\\]-]{1,100}(;transport=[a-z]{3})?$",
                    longest=128,
                ),
            ]
        ],
        Meta(description="SIP servers, best first; empty: those that the domain's DNS names (RFC 3263).", max_length=8),
    ] = []
    expires_s: Annotated[int, Meta(description="Seconds that a registration is asked for.", ge=10, le=86_400)] = 300
    lines: Annotated[
        list[Annotated[int, Meta(ge=1, le=8)]],
        Meta(description="Analog lines that call and ring, from 1.", max_length=8),
    ] = msgspec.field(default_factory=lambda: [1, 2])
    profiles: Annotated[
        list[LineProfile],
        Meta(
            description="What is connected to each of `lines`, in their order; those that are not named: phone.",
            max_length=8,
        ),
    ] = []
    number_format: Annotated[
        str,
        _text(
            "How numbers are sent: plus (+4722334455), digits (4722334455) or national (22334455).",
            "plus, digits or national",
            pattern="^(plus|digits|national)$",
        ),
    ] = "plus"
    codecs: Annotated[
        list[Annotated[str, _text("A speech codec.", ", ".join(KNOWN), pattern=f"^({'|'.join(KNOWN)})$")]],
        Meta(description="Speech codecs, the best first; machines use PCMA and PCMU only.", min_length=1, max_length=4),
    ] = msgspec.field(default_factory=lambda: list(G711))
    transports: Annotated[
        list[Transport],
        Meta(
            description="What the provider speaks, preferred first, where neither targets nor DNS say which.",
            min_length=1,
            max_length=3,
        ),
    ] = msgspec.field(default_factory=lambda: [Transport.UDP])
    srtp: Annotated[
        Srtp, Meta(description="Encrypted speech, over TLS only: off, optional (where the far end can) or mandatory.")
    ] = Srtp.OFF
    signalling_ranges: Annotated[
        list[_Range],
        Meta(description="Where SIP comes from, beside the servers; empty: from those alone.", max_length=MAX_RANGES),
    ] = []
    media_ranges: Annotated[
        list[_Range],
        Meta(description="Where speech comes from, beside the servers; empty: not told.", max_length=MAX_RANGES),
    ] = []
    stun_server: Annotated[
        str,
        _text(
            "Asked where far ends can send speech to, for those that do not answer to where it comes from.",
            "an IP address and a port like 192.0.2.1:3478",
            pattern="^[0-9A-Fa-f.:\\[\\]]+$",
            longest=MAX_STUN_TEXT,
            empty=True,
        ),
    ] = ""


class GatewaySection(Section, frozen=True, kw_only=True):
    """Where the gateway listens for its agent."""

    socket: Annotated[
        str, _text("Path of the gateway's AF_UNIX socket.", _PATH, pattern="^/.", longest=_MAX_SOCKET_PATH)
    ] = "/run/iplink-gateway/agent.sock"
    packet_filter: Annotated[
        str, _text("File in which root says which packet filter is in force.", _PATH, pattern="^/.")
    ] = "/run/iplink-packet-filter/state.json"


class StoreSection(Section, frozen=True, kw_only=True):
    """Where records are kept until the operator has them."""

    folder: Annotated[str, _text("Folder of the database and the price lists.", _PATH, pattern="^/.")] = (
        "/var/lib/iplink-agent"
    )
    keep_days: Annotated[
        int,
        Meta(
            description="Days that records are kept after the operator has them; then no file holds them.", ge=1, le=365
        ),
    ] = 7


class PageSection(Section, frozen=True, kw_only=True):
    """The status page on the home network."""

    bind: Annotated[
        str,
        _text(
            "Address that the status page listens on.",
            "an IP address of this machine, 0.0.0.0 or :: for all",
            pattern="^[0-9A-Fa-f:.]{2,45}$",
        ),
    ] = "0.0.0.0"  # noqa: S104  # the household opens the page from the LAN; the page is read-only and checks Host
    port: Annotated[
        int,
        Meta(
            description="TCP port of the status page; 0: any free one (for tests).",
            ge=0,
            le=65_535,
        ),
    ] = 8080
    hosts: Annotated[
        list[
            Annotated[
                str,
                _text(
                    "A host name.",
                    "a host name of letters, digits, hyphens and dots",
                    pattern="^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
                    longest=253,
                ),
            ]
        ],
        Meta(description="Names, beside its own addresses, under which browsers may open the page.", max_length=16),
    ] = []


class LogSection(Section, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[LogLevel, Meta(description="The least severe event that is logged.")] = LogLevel.INFO
    format: Annotated[LogFormat, Meta(description="auto: text on a terminal, JSON otherwise.")] = LogFormat.AUTO


class GeneralSection(Section, frozen=True, kw_only=True):
    """Language and civil time."""

    language: Annotated[
        Language, Meta(description="Language of announcements, and of the status page where the browser names none.")
    ] = Language.NB
    time_zone: Annotated[
        str,
        _text(
            "Zone whose midnight begins days, months and tariffs (IANA name).",
            "a name like Europe/Oslo",
            pattern="^[A-Za-z][A-Za-z0-9_+/-]*$",
            longest=64,
        ),
    ] = "Europe/Oslo"
    tones: Annotated[
        str,
        _text(
            "Tones and ringing: a country that is shipped (no, se, dk, fi, gb), or a file of your own.",
            "no, se, dk, fi, gb, or an absolute path (it begins with /)",
            pattern="^(no|se|dk|fi|gb)$|^/.",
        ),
    ] = "no"
    announcements: Annotated[
        str,
        _text(
            "Folder with recordings of your own in place of the shipped announcements: nb/NAME.wav, en/NAME.wav"
            " (8000 Hz, one channel, A-law, µ-law or 16 bits). The gateway must be able to read it; empty: none.",
            _PATH,
            pattern="^/.",
            empty=True,
        ),
    ] = ""


class EmergencySection(Section, frozen=True, kw_only=True):
    """Emergency numbers beside those that are built in; nothing here can remove one."""

    extra: Annotated[
        list[
            Annotated[str, _text("An emergency number.", "3 to 6 digits in quotes", pattern="^[0-9]{3,6}$", longest=6)]
        ],
        Meta(description="Numbers that always go through, free, like 110, 112, 113 and 1412.", max_length=8),
    ] = []
    callback_minutes: Annotated[
        int,
        Meta(
            description="How long after an emergency call the telephone takes every call, whatever forwarding or do not"
            " disturb say: the emergency service may call back; minutes, 0: not at all.",
            ge=0,
            le=60,
        ),
    ] = 5


class DiallingSection(Section, frozen=True, kw_only=True):
    """When a dialled number is whole."""

    map: Annotated[
        str,
        Meta(
            description="A digit map of one's own in place of the shipped one: (..|..) as Sipura, {..|..} as "
            "Grandstream, or patterns with | between them; empty: the shipped one. Emergency numbers stand apart.",
            max_length=MAX_MAP,
        ),
    ] = ""


class TelephoneDisplay(enum.StrEnum):
    """How the telephones are told who calls."""

    COUNTRY = "country"
    OFF = "off"
    FSK = "fsk"
    DTMF = "dtmf"


class TelephoneDisplayMoment(enum.StrEnum):
    """When they are told."""

    COUNTRY = "country"
    AFTER_FIRST_RING = "after_first_ring"
    BEFORE_RING = "before_ring"


class TelephonesSection(Section, frozen=True, kw_only=True):
    """What is particular about the telephones; country and 0: as the file of `general.tones` says."""

    flash_min_ms: Annotated[
        int, Meta(description="The hook is pressed at least so long in a recall; 0: as the country.", ge=0, le=1000)
    ] = 0
    flash_max_ms: Annotated[
        int, Meta(description="And at most so long: beyond it the handset was replaced.", ge=0, le=1500)
    ] = 0
    caller_id: Annotated[TelephoneDisplay, Meta(description="How they are told who calls.")] = TelephoneDisplay.COUNTRY
    caller_id_moment: Annotated[TelephoneDisplayMoment, Meta(description="When they are told.")] = (
        TelephoneDisplayMoment.COUNTRY
    )
    caller_id_in_calls: Annotated[
        bool,
        Meta(description="Whether they are told in a conversation who waits; false: they cannot show it, and beep."),
    ] = True


class DnsSection(Section, frozen=True, kw_only=True):
    """Who is asked where the operator's SIP servers are."""

    resolv_conf: Annotated[str, _text("File that names the network's own DNS servers.", _PATH, pattern="^/.")] = (
        "/etc/resolv.conf"
    )
    fallback: Annotated[
        list[
            Annotated[
                str,
                _text(
                    "A DNS server.",
                    "an IP address, or address:port, [IPv6 address]:port",
                    pattern=r"^[0-9A-Fa-f:.\[\]]{2,64}$",
                    longest=64,
                ),
            ]
        ],
        Meta(
            description="DNS servers that are asked where the network's own give no address; empty: none.", max_length=4
        ),
    ] = msgspec.field(default_factory=lambda: ["9.9.9.9", "1.1.1.1"])


class Config(Section, frozen=True, kw_only=True):
    """Settings of the IPlink agent (agent.toml)."""

    operator: OperatorSection | None = None
    gateway: GatewaySection = GatewaySection()
    store: StoreSection = StoreSection()
    page: PageSection = PageSection()
    log: LogSection = LogSection()
    general: GeneralSection = GeneralSection()
    emergency: EmergencySection = EmergencySection()
    dialling: DiallingSection = DiallingSection()
    telephones: TelephonesSection = TelephonesSection()
    dns: DnsSection = DnsSection()
    plain: PlainSection | None = None

    @property
    def secret(self) -> tuple[Path, str]:
        """File of the secret that this installation has, and the setting that names it."""
        if self.plain is not None:
            return Path(self.plain.password_file), "plain.password_file"
        assert self.operator is not None  # `parse` has seen to it
        return Path(self.operator.credential_file), "operator.credential_file"


def parse(body: bytes, name: str) -> Config:
    """The configuration in `body`; `name` is the file's name for error sentences. Raises ConfigError."""
    try:
        document = parse_toml(body)
    except TomlFileError as error:
        raise ConfigError(f"{name}: {error}") from error
    found = problems(document, Config)
    if len(found) < MAX_PROBLEMS and not {"operator", "plain"} & document.keys():
        found.append(
            "[operator]: found no such section; it is required; copy it from the sample configuration, or write [plain]"
            " for an adapter without an operator"
        )
    if not found:
        config = msgspec.convert(document, Config)
        found = _meaning_problems(config)
        if not found:
            return config
    raise ConfigError(*(f"{name}: {problem}" for problem in found))


def load(path: Path) -> Config:
    """The configuration in the file `path`. Raises ConfigError: `FILE: section.key: found X; allowed Y; what to do`."""
    return parse(_read(path), str(path))


def load_or_last_good(
    path: Path, kept: Path, try_out: Callable[[Config], None] = lambda _: None
) -> tuple[Config, ConfigError | None]:
    """The configuration in `path`, kept in `kept` (0600) for worse days; or else the kept one and what was wrong.

    `try_out` raises ConfigError where a configuration that reads well can't be worked with: it is not kept then.
    The caller reports the error loudly. A `KeptCopyError` beside the new configuration: only the keeping failed.
    Raises ConfigError where `path` is wrong and no good one has been kept.
    """
    try:
        body = _read(path)
        config = parse(body, str(path))
        try_out(config)
    except ConfigError as error:
        try:
            return load(kept), error
        except ConfigError:
            raise error from None
    try:
        _keep(body, kept)
    except OSError as error:
        reason = error.strerror or str(error)
        return config, KeptCopyError(f"{kept}: the good configuration could not be kept ({reason}); check the folder")
    return config, None


def read_credential(path: Path, setting: str = "operator.credential_file") -> str:
    """The device's secret, or a SIP password, from its file. Raises ConfigError, which never shows the contents."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            body = file.read(MAX_CREDENTIAL + 2)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: {setting}: it cannot be read ({reason}); check path and owner") from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigError(
            f"{path}: {setting}: found mode {stat.S_IMODE(mode):04o}; allowed is nothing for others"
            f" and no writing by the group; run chmod 0640 or 0600 on it"
        )
    secret = body.rstrip(b"\r\n")
    if not 1 <= len(secret) <= MAX_CREDENTIAL or not all(0x21 <= byte <= 0x7E for byte in secret):
        raise ConfigError(
            f"{path}: {setting}: found something else than one line of 1 to {MAX_CREDENTIAL} printable"
            f" ASCII characters without spaces; write the secret that the operator gave"
        )
    return secret.decode("ascii")


def json_schema() -> bytes:
    """JSON Schema of `agent.toml`, as stored in `config/agent.schema.json`."""
    (schemas, components) = msgspec.json.schema_components([Config], ref_template="#/$defs/{name}")
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schemas[0],
        "$defs": components,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, max_bytes=MAX_BYTES)
    except TomlFileError as error:
        raise ConfigError(f"{path}: {error}") from error


def _meaning_problems(config: Config) -> list[str]:
    """What no pattern can say about single settings."""
    found = []
    if config.operator is not None and config.plain is not None:
        found.append("[plain]: found beside [operator]; allowed is one of them; remove the other")
    found += _plain_problems(config.plain) if config.plain is not None else []
    if config.operator is not None and not _url_is_safe(config.operator.url):
        found.append(
            f"operator.url: found {show(config.operator.url)}; allowed is https, or http to this machine itself (the"
            f" device's secret travels in it), with a host and a valid port; correct it"
        )
    if len(config.gateway.socket.encode()) > _MAX_SOCKET_PATH:
        found.append(
            f"gateway.socket: found a path of {len(config.gateway.socket.encode())} bytes; allowed are"
            f" {_MAX_SOCKET_PATH} (the kernel's limit); choose a shorter one"
        )
    try:
        ipaddress.ip_address(config.page.bind)
    except ValueError:
        found.append(f"page.bind: found {show(config.page.bind)}; allowed is an IP address; correct it")
    try:
        zoneinfo.ZoneInfo(config.general.time_zone)
    except (KeyError, ValueError, OSError):
        found.append(
            f"general.time_zone: found {show(config.general.time_zone)}; allowed is a zone of the IANA database;"
            f" write Europe/Oslo"
        )
    try:
        if config.dialling.map:
            compile_plan(read_map(config.dialling.map).patterns, sorted(EMERGENCY | set(config.emergency.extra)))
    except DialPlanError as error:
        found.append(f"dialling.map: {error}; iplink-agent dialplan check tells more")
    return found


def _plain_problems(plain: PlainSection) -> Iterator[str]:
    for name in ("signalling_ranges", "media_ranges"):
        for index, text in enumerate(getattr(plain, name)):
            try:
                parse_range(text)
            except RangeError as error:
                yield f"plain.{name}[{index}]: {error}; correct it"
    try:
        if plain.stun_server:
            parse_server(plain.stun_server)
    except StunError as error:
        yield f"plain.stun_server: {error}; correct it, or leave it out"


def _url_is_safe(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host:
        return False
    if parts.scheme == "https" or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _keep(body: bytes, kept: Path) -> None:
    """Replace `kept` atomically; an equal copy is left alone, flash memory wears. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if kept.read_bytes() == body and stat.S_IMODE(kept.stat().st_mode) == 0o600:
            return
    write_whole(kept, body)
