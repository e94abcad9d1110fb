"""Wall time hangs on what somebody vouched for, and goes on evenly whatever is done to the system clock."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent.clock import FLOOR, Anchor, Clock, KeptTime, Reading, TimeSource, Word, read_clocks

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Machine:
    """A computer whose clocks the test moves."""

    def __init__(self, wall=EPOCH, *, synchronised=False):
        self.boot_id = "boot-1"
        self.boot_ms = 30_000
        self.wall = wall
        self.synchronised = synchronised
        self.clock = Clock(lambda: Reading(self.boot_ms, self.wall, self.synchronised), lambda: self.boot_id)

    def pass_time(self, seconds):
        self.boot_ms += round(seconds * 1000)
        self.wall += timedelta(seconds=seconds)

    def reboot(self, wall=EPOCH, *, synchronised=False):
        kept = msgspec.json.decode(msgspec.json.encode(self.clock.kept()), type=KeptTime)
        number = int(self.boot_id.removeprefix("boot-")) + 1
        self.__init__(wall, synchronised=synchronised)
        self.boot_id = f"boot-{number}"
        self.clock.restore(kept)

    def told(self, said):
        return self.clock.confirm(said, self.boot_ms, self.boot_ms)

    @property
    def now(self):
        return self.clock.now()


def test_nobody_vouches_for_a_clock_that_was_never_set():
    machine = Machine()
    assert not machine.now.trusted
    assert machine.now.source is TimeSource.SYSTEM
    assert machine.clock.wants_witness
    assert machine.now.wall >= FLOOR


def test_time_goes_on_from_the_floor_while_the_clock_says_1970():
    machine = Machine()
    first = machine.now.wall
    machine.pass_time(90)
    assert machine.now.wall - first == timedelta(seconds=90)


def test_a_plausible_clock_that_nobody_disciplines_is_shown_but_not_trusted():
    machine = Machine(NOON)
    assert machine.now.wall == NOON
    assert not machine.now.trusted


def test_a_time_daemon_is_believed():
    machine = Machine(NOON, synchronised=True)
    assert (machine.now.trusted, machine.now.source, machine.now.wall) == (True, TimeSource.KERNEL, NOON)


def test_a_time_daemon_before_the_floor_is_not():
    assert not Machine(EPOCH, synchronised=True).now.trusted


def test_the_operators_word_sets_the_time_where_nobody_did():
    machine = Machine()
    assert machine.told(NOON) is Word.NEW
    assert (machine.now.trusted, machine.now.source, machine.now.wall) == (True, TimeSource.OPERATOR, NOON)
    machine.pass_time(3600)
    assert machine.now.wall == NOON + timedelta(hours=1)
    assert not machine.clock.wants_witness


def test_the_word_holds_for_the_middle_between_question_and_answer():
    machine = Machine()
    machine.clock.confirm(NOON, machine.boot_ms - 4000, machine.boot_ms)
    assert machine.now.wall == NOON + timedelta(seconds=2)


@pytest.mark.parametrize("far", [datetime(2126, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_nobody_is_believed_about_a_far_future(far):
    machine = Machine(far, synchronised=True)
    assert not machine.now.trusted
    assert machine.now.wall == FLOOR
    assert machine.told(far) is Word.USELESS
    machine.told(NOON)
    assert machine.now.wall == NOON


@pytest.mark.parametrize(("said", "took_ms"), [(NOON, 10_001), (NOON, -1), (EPOCH, 0)])
def test_a_slow_or_impossible_answer_is_no_word(said, took_ms):
    machine = Machine()
    assert machine.clock.confirm(said, machine.boot_ms - took_ms, machine.boot_ms) is Word.USELESS
    assert not machine.now.trusted


@pytest.mark.parametrize("step", [-2 * DAY, timedelta(hours=-1), timedelta(hours=1), 2 * DAY, EPOCH - NOON])
@pytest.mark.parametrize("vouched", ["kernel", "operator"])
def test_a_step_of_a_clock_that_nobody_disciplines_moves_nothing(step, vouched):
    machine = Machine(NOON, synchronised=vouched == "kernel")
    if vouched == "operator":
        machine.told(NOON)
    assert machine.now.trusted
    machine.synchronised = False
    machine.wall += step
    machine.pass_time(60)
    assert (machine.now.wall, machine.now.trusted) == (NOON + timedelta(minutes=1), True)


def test_a_time_daemon_may_step_forwards_as_long_as_no_operator_has_vouched():
    machine = Machine(NOON, synchronised=True)
    assert machine.now.trusted
    machine.wall += 2 * DAY
    assert machine.now.wall == NOON + 2 * DAY


def test_a_time_daemon_that_steps_backwards_waits_for_the_operator():
    machine = Machine(NOON, synchronised=True)
    assert machine.now.trusted
    machine.wall -= timedelta(hours=1)
    assert machine.now.wall == NOON
    assert machine.clock.wants_witness
    assert machine.told(machine.wall) is Word.DIFFERS
    assert machine.now.wall == NOON - timedelta(hours=1)
    assert not machine.clock.wants_witness


@pytest.mark.parametrize("step", [timedelta(hours=-1), 2 * DAY])
def test_against_the_operators_word_a_time_daemon_does_not_step_and_the_operator_is_asked_once(step):
    machine = Machine(NOON)
    machine.told(NOON)
    machine.synchronised = True
    machine.wall += step
    assert machine.now.wall == NOON
    assert machine.clock.wants_witness
    assert machine.told(NOON) is Word.AGREES
    machine.pass_time(600)
    assert machine.now.wall == NOON + timedelta(minutes=10)
    assert not machine.clock.wants_witness
    machine.wall += DAY
    assert machine.now.wall == NOON + timedelta(minutes=10)
    assert machine.clock.wants_witness


def test_a_time_daemon_corrects_drift_and_keeps_the_operators_word():
    machine = Machine(NOON)
    machine.told(NOON)
    machine.synchronised = True
    machine.wall += timedelta(seconds=20)
    assert machine.now.wall == NOON + timedelta(seconds=20)
    assert machine.now.source is TimeSource.OPERATOR


def test_the_operators_agreement_is_the_better_witness():
    machine = Machine(NOON, synchronised=True)
    assert machine.now.source is TimeSource.KERNEL
    assert machine.told(NOON + timedelta(seconds=2)) is Word.AGREES
    assert (machine.now.source, machine.now.wall) == (TimeSource.OPERATOR, NOON)


# --- what outlives the process -------------------------------------------------------------------------------------


def test_a_restart_in_the_same_boot_knows_the_time_at_once():
    machine = Machine()
    machine.told(NOON)
    kept = machine.clock.kept()
    machine.pass_time(60)
    again = Clock(lambda: Reading(machine.boot_ms, machine.wall, False), lambda: machine.boot_id)
    again.restore(kept)
    assert again.now() == machine.now


def test_after_a_power_cut_time_begins_at_the_newest_that_was_known_and_nobody_vouches():
    machine = Machine()
    machine.told(NOON)
    machine.pass_time(7200)
    newest = machine.now.wall
    machine.reboot()
    assert (machine.now.wall, machine.now.trusted) == (newest, False)
    assert machine.clock.anchor_of("boot-2") is None
    assert machine.clock.anchor_of("boot-1").wall_at(30_000) == NOON


def test_after_a_power_cut_a_time_daemon_is_not_believed_before_the_newest_time_known():
    machine = Machine(NOON, synchronised=True)
    assert machine.now.trusted
    machine.reboot(NOON - DAY, synchronised=True)
    assert not machine.now.trusted
    assert machine.clock.wants_witness
    machine.wall = NOON + DAY
    assert machine.now.trusted


def test_a_future_that_never_was_ends_with_the_operators_word():
    machine = Machine(NOON + 400 * DAY, synchronised=True)
    assert machine.now.trusted
    machine.told(NOON)
    machine.reboot(NOON + DAY, synchronised=True)
    assert (machine.now.trusted, machine.now.wall) == (True, NOON + DAY)


def test_anchors_are_kept_for_so_many_boots_only():
    machine = Machine()
    for _ in range(70):
        machine.told(NOON)
        machine.reboot(NOON)
    assert machine.clock.anchor_of("boot-1") is None
    assert machine.clock.anchor_of("boot-70") is not None
    assert len(machine.clock.kept().anchors) == 64


def test_an_anchor_dates_every_instant_of_its_boot():
    anchor = Anchor(boot_id="b", boot_ms=60_000, wall=NOON, source=TimeSource.KERNEL)
    assert anchor.wall_at(0) == NOON - timedelta(minutes=1)
    assert anchor.wall_at(61_000) == NOON + timedelta(seconds=1)


def test_the_real_clocks_can_be_read():
    first, second = read_clocks(), read_clocks()
    assert second.boot_ms >= first.boot_ms
    assert second.wall.tzinfo is UTC
