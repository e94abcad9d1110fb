"""`agent.toml`: what a technician is told, and that the last good configuration carries on."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.config import Config, ConfigError, KeptCopyError, Language, LogFormat, LogLevel
from agent.core.srtp import Srtp
from agent.core.transports import Transport
from agent.paths import data_dir

OPERATOR = """[operator]
url = "https://api.example.net"
device_id = "adapter-1"
credential_file = "/etc/secret"
"""


def refused(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(text.encode() if isinstance(text, str) else text, "agent.toml")
    return str(caught.value)


def outcome(text: str) -> tuple[str, ...] | None:
    """The problems told of `text`; None: it is accepted."""
    try:
        config.parse(text.encode(), "agent.toml")
    except ConfigError as error:
        return error.problems
    return None


def test_the_sample_is_valid_and_states_the_defaults():
    sample = config.load(data_dir() / "agent.toml")
    short = config.parse(OPERATOR.encode(), "agent.toml")
    for section in Config.__struct_fields__:
        if section != "operator":
            assert getattr(sample, section) == getattr(short, section), section
    assert (short.page.port, short.log.level, short.log.format) == (8080, LogLevel.INFO, LogFormat.AUTO)
    assert (short.general.language, short.general.time_zone, short.emergency.extra) == (Language.NB, "Europe/Oslo", [])


def test_every_setting_is_in_the_sample_with_a_comment():
    lines = (data_dir() / "agent.toml").read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if re.match(r"[a-z_]+ = ", line)]
    assert all("  # " in line for line in settings)
    names = [line.split(" = ")[0] for line in settings]
    sections = [getattr(config.load(data_dir() / "agent.toml"), section) for section in Config.__struct_fields__]
    assert names == [field for section in sections if section is not None for field in section.__struct_fields__]
    instead = [line[2:].split(" = ")[0] for line in lines if re.match(r"# [a-z_]+ = .*  # ", line)]
    assert instead == list(config.PlainSection.__struct_fields__)


def test_a_codec_that_no_adapter_uses_is_refused_by_name_with_those_that_it_may_have():
    plain = (
        '[plain]\nuser = "22334455"\ndomain = "sip.example.net"\nnumber = "+4722334455"\n'
        'password_file = "/etc/secret"\ncodecs = ["PCMA", "G729"]\n'
    )
    assert 'plain.codecs[1]: found "G729"; allowed is PCMA, PCMU, G722, opus' in refused(plain)
    assert config.parse(plain.replace("G729", "G722").encode(), "agent.toml").plain.codecs == ["PCMA", "G722"]


PLAIN = (
    '[plain]\nuser = "22334455"\ndomain = "sip.example.net"\nnumber = "+4722334455"\npassword_file = "/etc/secret"\n'
)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('stun_server = "stun.example.net:3478"',
         'plain.stun_server: found "stun.example.net:3478"; allowed is an IP address and a port like 192.0.2.1:3478'),
        ('stun_server = "192.0.2.1:0"',
         "plain.stun_server: stun_server '192.0.2.1:0' has port 0, which does not exist; correct it, or leave it out"),
        ('stun_server = "2001:db8::1:3478"',
         "plain.stun_server: stun_server '2001:db8::1:3478' is not an IP address and a port; "),
        ('signalling_ranges = ["192.0.2.0/24", "10.0.0.0/7"]',
         "plain.signalling_ranges[1]: '10.0.0.0/7' is far too wide: a range has at least a /8; correct it"),
        ('media_ranges = ["192.0.2.9/24"]',
         "plain.media_ranges[0]: '192.0.2.9/24' has bits set beyond its prefix; 192.0.2.0/24 may be meant; correct it"),
        ('media_ranges = ["example.net"]',
         'plain.media_ranges[0]: found "example.net"; allowed is 192.0.2.0/24 or 2001:db8::/32'),
        ('srtp = "always"', 'plain.srtp: found "always"; allowed is one of off, optional, mandatory'),
        ('transports = ["udp", "sctp"]', 'plain.transports[1]: found "sctp"; allowed is one of udp, tcp, tls'),
        ("transports = []", "plain.transports: found a list of 0; allowed is a list of 1 to 3, each one of udp, tcp"),
    ],
)  # fmt: skip
def test_what_a_provider_can_not_be_is_refused_by_the_settings_name(line, sentence):
    assert sentence in refused(PLAIN + line)


def test_all_that_an_operator_may_say_of_his_platform_may_be_said_of_a_provider():
    more = (
        'transports = ["tls", "udp"]\nsrtp = "mandatory"\nsignalling_ranges = ["192.0.2.0/24"]\n'
        'media_ranges = ["2001:db8::/32"]\nstun_server = "[2001:db8::1]:3478"\n'
    )
    read = config.parse((PLAIN + more).encode(), "agent.toml").plain
    assert (read.transports, read.srtp) == ([Transport.TLS, Transport.UDP], Srtp.MANDATORY)
    assert (read.signalling_ranges, read.media_ranges) == (["192.0.2.0/24"], ["2001:db8::/32"])
    assert read.stun_server == "[2001:db8::1]:3478"


def test_the_sample_of_a_plain_adapter_is_valid_without_an_operator():
    text = (data_dir() / "agent.toml").read_text(encoding="utf-8")
    head, _, tail = text.partition("# [plain]\n")
    others = head.replace(head[head.index("\n[operator]") : head.index("\n[gateway]")], "")
    plain = "[plain]\n" + re.sub(r"^# ", "", tail, flags=re.MULTILINE)
    read = config.parse((others + plain).encode(), "agent.toml")
    assert read.operator is None
    assert read.plain == config.PlainSection(
        user="22334455", domain="sip.example.net", number="+4722334455",
        password_file="/etc/iplink-agent/sip-password",
    )  # fmt: skip
    assert read.secret == (Path("/etc/iplink-agent/sip-password"), "plain.password_file")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            OPERATOR + "[page]\nprt = 80",
            "page.prt: found an unknown setting; allowed are bind, port, hosts; did you mean port?",
        ),
        (
            OPERATOR + "[pages]\nport = 80",
            (
                "pages: found an unknown section; allowed are [operator], [gateway], [store], [page], [log],"
                " [general], [emergency], [dialling], [telephones], [dns], [plain]; did you mean page?"
            ),
        ),
        (
            OPERATOR + "[page]\nlevel = 'info'",
            "page.level: found an unknown setting; allowed are bind, port, hosts; it belongs in [log]",
        ),
        (
            OPERATOR + "[page]\nport = 70000",
            (
                "page.port: found 70000; allowed is a whole number from 0 to 65535; correct it, or remove the"
                " line for the default 8080"
            ),
        ),
        (
            OPERATOR + "[page]\nport = '8080'",
            (
                'page.port: found "8080"; allowed is a whole number from 0 to 65535; correct it, or remove the'
                " line for the default 8080"
            ),
        ),
        (
            OPERATOR + "[log]\nlevel = 'loud'",
            (
                'log.level: found "loud"; allowed is one of debug, info, warning, error; correct it, or remove'
                ' the line for the default "info"'
            ),
        ),
        (
            OPERATOR + "[dialling]\nmap = '(2xx|2x)'",
            (
                "dialling.map: 20 is a whole number by '2x' and the beginning of one by '2xx': it would dial at once,"
                " and nobody could dial the longer one; iplink-agent dialplan check tells more"
            ),
        ),
        (
            OPERATOR + "[emergency]\nextra = ['118', 'police']",
            'emergency.extra[1]: found "police"; allowed is 3 to 6 digits in quotes; correct or remove it',
        ),
        (
            "[page]\nport = 80",
            (
                "[operator]: found no such section; it is required; copy it from the sample configuration, or write"
                " [plain] for an adapter without an operator"
            ),
        ),
        (
            OPERATOR + "[plain]\nuser = 'a'\ndomain = 'b.no'\nnumber = '+4722334455'\npassword_file = '/p'",
            "[plain]: found beside [operator]; allowed is one of them; remove the other",
        ),
        (
            OPERATOR.replace('device_id = "adapter-1"\n', ""),
            (
                "operator.device_id: found nothing; allowed is 1 to 64 letters, digits, dots, hyphens,"
                " underscores; add the line to [operator]"
            ),
        ),
        (
            "page = 3\n" + OPERATOR,
            "page: found 3; allowed is a section [page]; write its settings below that line",
        ),
        (
            OPERATOR + "[general]\ntime_zone = 'Europe/Olso'",
            ('general.time_zone: found "Europe/Olso"; allowed is a zone of the IANA database; write Europe/Oslo'),
        ),
        (
            OPERATOR + "[page]\nbind = '1.2.3'",
            'page.bind: found "1.2.3"; allowed is an IP address; correct it',
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_found_what_is_allowed_and_what_to_do(text, sentence):
    assert refused(text) == f"agent.toml: {sentence}"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://api.example.net/base", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost:8000", True),
        ("http://api.example.net", False),
        ("https://api.example.net:99999", False),
        ("https://api.example.net/?a=1", False),
        ("ftp://api.example.net", False),
        ("https://[::1", False),
        ("https://:443", False),
    ],
)
def test_the_secret_never_travels_in_plain_text_over_a_network(url, good):
    text = OPERATOR.replace("https://api.example.net", url)
    if good:
        assert config.parse(text.encode(), "agent.toml").operator.url == url
    else:
        assert "operator.url: found" in refused(text)


def test_credentials_and_full_numbers_in_a_wrong_setting_are_not_repeated():
    told = refused(OPERATOR.replace("https://", "https://olga:hemmelig@") + "[emergency]\nextra = ['+4791234567']")
    assert "hemmelig" not in told
    assert "olga" not in told
    assert "91234567" not in told


def test_several_errors_are_told_at_once_and_at_most_twenty():
    assert len(refused(OPERATOR + "[page]\nport = -1\nbind = 3\n[log]\nlevel = 4").splitlines()) == 3
    flood = "\n".join(f"x{index} = 1" for index in range(500))
    assert len(refused(flood).splitlines()) == 20


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[page]\nport = = 3\n", "agent.toml: not valid TOML: .*line 2, column 8"),
        (b"[page]\n\n# \xe6\xf8\xe5\n", "agent.toml: line 3: byte 10 \\(0xe6\\) is not UTF-8"),
        (b"a = " + b"[" * 30_000, "agent.toml: it is nested too deeply"),
        (b"a = " + b"9" * 30_000, "agent.toml: "),
    ],
)
def test_a_file_that_is_not_toml_names_the_place(body, sentence):
    assert re.match(sentence, refused(body))


def test_a_missing_unreadable_or_enormous_file_is_told_by_name(tmp_path: Path):
    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * (config.MAX_BYTES + 1))
    cases = {tmp_path / "absent.toml": "no such file", tmp_path: "not a regular file", big: "larger than 65536 bytes"}
    for path, reason in cases.items():
        with pytest.raises(ConfigError, match=reason) as caught:
            config.load(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_control_characters_are_refused_everywhere():
    assert "operator.credential_file" in refused(OPERATOR.replace("/etc/secret", "/etc/\\u0000secret"))
    assert "page.hosts[0]" in refused(OPERATOR + '[page]\nhosts = ["a\\n"]')


def test_a_socket_path_is_measured_in_bytes():
    assert "gateway.socket: found a path of 155 bytes" in refused(OPERATOR + f"[gateway]\nsocket = '/{'ø' * 77}'")


# --- last good ------------------------------------------------------------------------------------------------------


def test_the_last_good_configuration_carries_on_and_the_error_is_handed_over(tmp_path: Path):
    path, kept = tmp_path / "agent.toml", tmp_path / "kept.toml"
    path.write_text(OPERATOR + "[page]\nport = 81\n", encoding="utf-8")
    good, error = config.load_or_last_good(path, kept)
    assert (good.page.port, error) == (81, None)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    path.write_text(OPERATOR + "[page]\nport = 'x'\n", encoding="utf-8")
    again, error = config.load_or_last_good(path, kept)
    assert again == good
    assert error is not None
    assert f"{path}: page.port" in str(error)

    path.unlink()
    again, error = config.load_or_last_good(path, kept)
    assert again == good
    assert "no such file" in str(error)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["kept.toml"]


def test_with_nothing_kept_or_a_damaged_copy_the_files_own_error_is_raised(tmp_path: Path):
    path, kept = tmp_path / "agent.toml", tmp_path / "kept.toml"
    path.write_text("[page]\nport = 1", encoding="utf-8")
    for damage in (None, b"\xff\xff"):
        if damage is not None:
            kept.write_bytes(damage)
        with pytest.raises(ConfigError, match=re.escape(f"{path}: [operator]")):
            config.load_or_last_good(path, kept)


def test_an_unchanged_configuration_is_not_written_again(tmp_path: Path):
    path, kept = tmp_path / "agent.toml", tmp_path / "kept.toml"
    path.write_text(OPERATOR, encoding="utf-8")
    config.load_or_last_good(path, kept)
    before = kept.stat().st_ino
    config.load_or_last_good(path, kept)
    assert kept.stat().st_ino == before
    path.write_text(OPERATOR + "# changed\n", encoding="utf-8")
    config.load_or_last_good(path, kept)
    assert kept.read_bytes() == path.read_bytes()


def test_a_good_configuration_is_used_even_where_it_cannot_be_kept(tmp_path: Path):
    path = tmp_path / "agent.toml"
    path.write_text(OPERATOR, encoding="utf-8")
    good, error = config.load_or_last_good(path, tmp_path / "absent" / "kept.toml")
    assert good.operator.device_id == "adapter-1"
    assert isinstance(error, KeptCopyError)


# --- the secret -----------------------------------------------------------------------------------------------------


def test_the_credential_is_one_line_that_others_cannot_read(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_bytes(b"s3cret-value\n")
    for mode, good in ((0o600, True), (0o640, True), (0o644, False), (0o660, False), (0o602, False)):
        path.chmod(mode)
        if good:
            assert config.read_credential(path) == "s3cret-value"
        else:
            with pytest.raises(ConfigError, match=f"found mode {mode:04o}"):
                config.read_credential(path)


@pytest.mark.parametrize("body", [b"", b"\n", b"hush hush\n", b"hush\nhush\n", b"h\xc3\xb8\n", b"hush" * 100])
def test_a_credential_of_another_shape_is_refused_without_showing_it(tmp_path: Path, body):
    path = tmp_path / "device"
    path.write_bytes(body)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="one line of 1 to 256") as caught:
        config.read_credential(path)
    assert "hush" not in str(caught.value)


def test_a_missing_credential_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"credential_file: it cannot be read \(No such file"):
        config.read_credential(tmp_path / "absent")


# --- schema and fuzz ------------------------------------------------------------------------------------------------


def test_the_stored_json_schema_is_current():
    stored = (data_dir() / "agent.schema.json").read_bytes()
    assert stored == config.json_schema(), "run: iplink-agent check-config --schema > config/agent.schema.json"


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_config_errors(body):
    with pytest.raises(ConfigError):
        config.parse(body, "agent.toml")


VALUES = st.recursive(
    st.one_of(
        st.integers(-(10**25), 10**25).map(str),
        st.floats(allow_nan=True).map(lambda number: "nan" if number != number else f"{number:e}"),
        st.booleans().map(lambda value: str(value).lower()),
        st.text(st.characters(codec="utf-8", exclude_characters="'\r\n", exclude_categories=["Cc"])).map(
            lambda text: f"'{text}'"
        ),
        st.sampled_from(
            ["2026-01-01", "07:32:00", "1979-05-27T07:32:00Z", "'https://x'", "'\\u0000'", '"\\u0000"', "0xff"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=6,
)
SECTIONS = {name: name for name in (*Config.__struct_fields__, "other")}
KEYS = st.sampled_from(
    ["url", "device_id", "credential_file", "ca_file", "socket", "folder", "bind", "port", "hosts", "level", "format",
     "language", "time_zone", "extra", "unknown"]
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(SECTIONS)), st.dictionaries(KEYS, VALUES, max_size=4), max_size=7))
def test_random_settings_are_accepted_or_refused_with_a_sentence(document):
    text = "\n".join(
        f"[{section}]\n" + "\n".join(f"{key} = {value}" for key, value in entries.items())
        for section, entries in document.items()
    )
    told = outcome(text)
    assert told is None or told
    assert all(problem.startswith("agent.toml: ") and "\n" not in problem for problem in told or ())


@given(KEYS, VALUES)
def test_one_random_setting_in_a_good_file_never_escapes_the_checks(key, value):
    for section in Config.__struct_fields__:
        text = OPERATOR if section == "operator" else f"{OPERATOR}[{section}]\n"
        told = outcome(f"{text}{key} = {value}\n")
        assert told is None or told
