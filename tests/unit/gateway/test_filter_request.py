"""What the gateway asks of root for its packet filter, when, and what happens where the file cannot be written."""

import msgspec
import pytest

from agent.filter_file import REQUEST, decode_request
from agent.gateway.daemon import filter_request
from agent.gateway.daemon.filter_request import FilterRequests


class House:
    def __init__(self, folder):
        self.file = folder / REQUEST
        self.lines = []
        self.ports = (20_001,)
        self.requests = FilterRequests(folder, (16_384, 16_449), lambda *line: self.lines.append(line))

    def tend(self, now=0):
        self.requests.tend(now, lambda: self.ports)

    @property
    def asked(self):
        return decode_request(self.file.read_bytes())


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def ranges(configuration, signalling=(), media=()):
    return msgspec.structs.replace(configuration, signalling_ranges=list(signalling), media_ranges=list(media))


def test_without_anybody_who_may_call_nothing_is_asked_for(house, configuration):
    house.tend()
    house.requests.use(ranges(configuration), [])
    house.tend()
    assert not house.file.exists()
    assert house.lines == []


def test_the_ports_the_ranges_and_the_targets_are_asked_for_and_nobody_else_may_read_it(house, configuration):
    house.requests.use(ranges(configuration, ["192.0.2.0/24"], ["2001:db8::/32"]), ["198.51.100.1", "198.51.100.1"])
    house.tend()
    asked = house.asked
    assert (asked.sip_udp, asked.rtp) == ((20_001,), (16_384, 16_449))
    assert [str(one) for one in asked.signalling] == ["192.0.2.0/24", "198.51.100.1/32"]
    assert [str(one) for one in asked.media] == ["2001:db8::/32", "198.51.100.1/32"]
    assert house.file.stat().st_mode & 0o777 == 0o640


def test_speech_is_left_alone_where_the_operator_names_no_range_for_it(house, configuration):
    house.requests.use(ranges(configuration, ["192.0.2.0/24"]), ["198.51.100.1"])
    house.tend()
    assert house.asked.media == ()


def test_a_name_among_the_targets_is_no_address(house, configuration):
    house.requests.use(ranges(configuration), ["sip.example.net", "198.51.100.1"])
    house.tend()
    assert [str(one) for one in house.asked.signalling] == ["198.51.100.1/32"]


def test_what_is_not_new_is_not_even_put_into_words(house, configuration, monkeypatch):
    worded = []
    monkeypatch.setattr(filter_request, "encode_request", lambda wanted: worded.append(wanted) or b"{}")
    house.requests.use(ranges(configuration), ["198.51.100.1"])
    for now in range(0, 60_000, 1000):
        house.tend(now)
    assert len(worded) == 1


def test_a_new_port_is_asked_for_and_what_is_not_new_is_not_written(house, configuration):
    house.requests.use(ranges(configuration), ["198.51.100.1"])
    house.tend(0)
    first = house.file.stat().st_ino
    house.tend(1000)
    assert house.file.stat().st_ino == first
    house.ports = (20_001, 40_123)
    house.tend(1500)
    assert house.asked.sip_udp == (20_001,)
    house.tend(2000)
    assert house.asked.sip_udp == (20_001, 40_123)


def test_a_new_configuration_is_asked_for_at_once(house, configuration):
    house.requests.use(ranges(configuration), ["198.51.100.1"])
    house.tend(0)
    house.requests.use(ranges(configuration, ["192.0.2.0/24"]), ["198.51.100.1"])
    house.tend(1)
    assert len(house.asked.signalling) == 2


def test_a_disk_that_takes_nothing_is_told_of_and_tried_again(tmp_path, configuration):
    house = House(tmp_path / "away")
    house.requests.use(ranges(configuration), ["198.51.100.1"])
    house.tend(0)
    house.tend(59_999)
    assert [(level, event) for level, event, _ in house.lines] == [("error", "packet_filter_not_asked_for")]
    (tmp_path / "away").mkdir()
    house.tend(60_000)
    assert house.asked.sip_udp == (20_001,)


def test_a_port_that_no_filter_may_name_is_told_of(house, configuration):
    house.ports = (80,)
    house.requests.use(ranges(configuration), ["198.51.100.1"])
    house.tend(0)
    assert house.lines[0][2] == "sip_udp has port 80; allowed are 1024 to 65535"
    assert not house.file.exists()
