"""When strangers' calls are refused, and how often the log hears of it."""

from types import SimpleNamespace

from agent.gateway.daemon.sip.strangers import Strangers


class House:
    def __init__(self):
        self.now = 0
        self.refused = []
        self.lines = []
        self.strangers = Strangers(self.refused.append, lambda: self.now, lambda *line: self.lines.append(line))

    def comes(self, source="192.0.2.1"):
        call = SimpleNamespace(ended_here=False)
        self.strangers.came(call, source)
        return call

    def passes(self, duration_ms):
        self.now += duration_ms
        self.strangers.refuse_due()
        self.strangers.tell()


def test_a_stranger_is_refused_after_a_while_and_not_in_the_callback():
    house = House()
    call = house.comes()
    assert (call.ended_here, house.refused) == (True, [])
    assert house.strangers.wait_ms(5000) == 150
    house.passes(149)
    assert house.refused == []
    house.passes(1)
    assert house.refused == [call]
    house.passes(1000)
    assert house.refused == [call]


def test_his_call_is_held_until_it_is_over():
    house = House()
    first, second = house.comes(), house.comes()
    house.strangers.over(first)
    assert list(house.strangers) == [second]
    house.passes(150)
    assert house.refused == [second]
    house.strangers.over(first)
    house.strangers.over(second)
    assert len(house.strangers) == 0


def test_the_oldest_gives_way_to_a_call_of_ours():
    house = House()
    house.strangers.refuse_one()
    first, _ = house.comes(), house.comes()
    house.strangers.refuse_one()
    assert house.refused == [first]


def test_a_flood_is_one_line_in_three_seconds_and_none_is_left_out_of_the_count():
    house = House()
    house.comes("192.0.2.1")
    for _ in range(200):
        house.comes("192.0.2.2")
    assert house.lines == [("warning", "sip_stranger_refused", "INVITE from 192.0.2.1, 1 in all")]
    house.passes(2999)
    assert len(house.lines) == 1
    assert house.strangers.wait_ms(5000) == 1
    house.passes(1)
    assert house.lines[1:] == [
        ("warning", "sip_stranger_refused", "INVITE from 192.0.2.2 and 199 before it, 201 in all")
    ]
    house.passes(10_000)
    assert len(house.lines) == 2
    assert house.strangers.wait_ms(5000) == 5000
