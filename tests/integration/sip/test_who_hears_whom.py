"""Which calls and handsets hear each other, measured in the speech itself: two subscribers and a line, a tone each."""

import pytest

pytestmark = pytest.mark.e2e

EARS = """
from firmware_bridge.tonemeter import level_dbm0, tone

class Ear:
    # A line that hums softly at 2 kHz and remembers the last 100 ms of what it hears.
    stats = None

    def __init__(self):
        hum = tone(2000, 1000, -30.0)
        self.frames = itertools.cycle([hum[at:at + 320] for at in range(0, len(hum), 320)])
        self.ear = []

    def media_put(self, pcm):
        self.ear = [*self.ear[-4:], pcm if len(pcm) == 320 else bytes(320)]

    def media_get(self):
        return next(self.frames)

    def hears(self):
        return [hz for hz in (1004, 1700) if level_dbm0(b"".join(self.ear), hz) > -30]

ears = [Ear(), Ear()]
driver = Driver(audio=ears)
driver.stack.configure([account()])

def soon(*wanted):
    # Whether line 0 comes to hear exactly these, for as long on end as the far ends need to notice a change.
    deadline, since = boot_ms() + 8000, None
    while boot_ms() < deadline:
        driver.stack.poll(20)
        if ears[0].hears() != list(wanted):
            since = None
        elif since is None:
            since = boot_ms()
        elif boot_ms() - since > 800:
            return True
    return ears[0].hears()

def call(name, user, line):
    driver.stack.perform(actions.Invite(name, "1001", user, line))
    driver.wait(events.CallAnswered)

def do(action):
    driver.stack.perform(action)

call("a", "1002", 0)
"""


@pytest.fixture
def subscribers(endpoint):
    made = [endpoint({"1002": {"tone_hz": 1004, "tone_ms": 0}}), endpoint({"1003": {"tone_hz": 1700, "tone_ms": 0}})]
    for one in made:
        one.wait("ready")
    return made


def test_two_calls_of_one_line_one_after_the_other_together_and_without_it(script, subscribers):
    result = script(
        EARS
        + """
heard = {"first": soon(1004)}
call("b", "1003", None)
heard["first, with a second call beside it"] = soon(1004)
do(actions.Connect(("b",), 0))
heard["second"] = soon(1700)
do(actions.Connect(("a", "b"), 0))
heard["both"] = soon(1004, 1700)
do(actions.Connect((), 0))
heard["nobody"] = soon()
do(actions.Connect(("a",), 0))
heard["first again"] = soon(1004)
do(actions.Connect(("a", "b"), None))
heard["they speak without it"] = soon()
other = ears[1].hears()
driver.stack.close()
say("done", heard=heard, other=other, failures=driver.stack.callback_failures,
    logs=[line for line in driver.logs if line[1] != "sip_library"])
"""
    )
    assert all(heard is True for heard in result["heard"].values()), result["heard"]
    assert (result["other"], result["failures"], result["logs"]) == ([], 0, [])
    for one in subscribers:
        one.wait("bye")
    first, second = ([line["hz"] for line in one.past if line["event"] == "heard"] for one in subscribers)
    # Each hears the line first, each other in the conference (the line hums too softly then), silence on the way.
    assert [hz for hz in first if hz] == [2000, 1700, 2000, 1700]
    assert [hz for hz in second if hz] == [2000, 1004, 1004]


def test_a_held_call_is_silent_and_its_line_hears_another_until_it_comes_back(script, subscribers):
    result = script(
        EARS
        + """
heard = {"before": soon(1004)}
do(actions.Hold("a"))
held = driver.wait(events.HoldDone)
heard["held"] = soon()
call("b", "1003", 0)
heard["other"] = soon(1700)
do(actions.Hold("b"))
driver.wait(events.HoldDone)
do(actions.Resume("a"))
driver.wait(events.HoldDone)
do(actions.Connect(("a",), 0))
heard["back"] = soon(1004)
do(actions.HangUp("a"))
driver.wait(events.CallOver)
do(actions.Resume("b"))
do(actions.Connect(("b",), 0))
heard["the other again"] = soon(1700)
driver.stack.close()
say("done", heard=heard, held=[held.held, held.ok], logs=[line for line in driver.logs if line[1] != "sip_library"])
"""
    )
    assert all(heard is True for heard in result["heard"].values()), result["heard"]
    assert (result["held"], result["logs"]) == ([True, True], [])


def test_a_connection_that_cannot_be_changes_nothing(script, subscribers):
    result = script(
        EARS
        + """
heard = [soon(1004)]
for call_ids, line in ((("a", "none"), 0), (("a",), 7), (("a", "a"), 0), (("none",), None)):
    do(actions.Connect(call_ids, line))
    heard.append(soon(1004))
driver.stack.close()
say("done", heard=heard, logs=[event for _, event, _ in driver.logs if event != "sip_library"])
"""
    )
    assert (result["heard"], result["logs"]) == ([True] * 5, ["sip_connection_impossible"] * 4)
