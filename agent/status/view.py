"""How the page writes things: sentences, money, times and durations in the reader's language and zone.

Pure. It sees masked snapshots only.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, date, datetime, tzinfo
from typing import Protocol

from msgspec import Struct

from agent.core.advisories import Reached
from agent.core.money import format_amount
from agent.core.quality import Grade, grade
from agent.core.terms import CallKind, CallPhase
from agent.status.snapshot import (
    AccountView,
    AdvisoryView,
    CapView,
    CdrView,
    FilterStanding,
    FilterView,
    LibraryView,
    LineView,
    LiveCallView,
    MonthItem,
    Notice,
    PackView,
    ServiceView,
    Snapshot,
    SoundView,
    StunView,
)

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_AUDIBLE_SHARE = 100
"""One hundredth of a call's speech: what good concealment hides (ITU-T G.711 Appendix I, some per cent at most)."""
_AUDIBLE_MS = 200


class Sentences(Protocol):
    """The text catalogue, as far as the page needs it."""

    def say(self, key: str, lang: str, **values: object) -> str:
        """The sentence `key` in `lang` with its fields filled in."""

    def fields(self, key: str) -> Set[str]:
        """Names of the fields that a sentence needs."""

    def __contains__(self, key: object) -> bool:
        """Whether there is such a sentence."""


class Badge(Struct, frozen=True):
    """A state in words and colour: `level` is `good`, `bad`, `busy` or `idle`."""

    level: str
    text: str


class Wording(Struct, frozen=True):
    """Writes the page in `lang`, with wall times of `zone`; `now` is the snapshot's moment."""

    texts: Sentences
    lang: str
    zone: tzinfo
    now: datetime

    def say(self, key: str, **values: object) -> str:
        """The page's own sentence `page.KEY`."""
        return self.texts.say(f"page.{key}", self.lang, **values)

    def word(self, section: str, key: str) -> str:
        """The catalogue's word for an enum value or code; the code itself where the catalogue is older than it."""
        name = f"{section}.{key}"
        return self.texts.say(name, self.lang) if key and name in self.texts else key

    def notice(self, notice: Notice) -> str:
        """A notice as a sentence: its bare key where the catalogue lacks it, a dash for a value that was not given."""
        if notice.key not in self.texts:
            return notice.key
        values = dict.fromkeys(self.texts.fields(notice.key), "–") | notice.values
        return self.texts.say(notice.key, self.lang, **values)

    def money(self, micro: int, currency: str) -> str:
        """An amount as people write it."""
        return format_amount(micro, currency, self.lang)

    def when(self, at: datetime) -> str:
        """A wall time in civil time: the clock for today, date and clock otherwise."""
        local, today = at.astimezone(self.zone), self.now.astimezone(self.zone)
        if local.date() == today.date():
            return f"{local:%H:%M}"
        return f"{local:%d.%m.%Y %H:%M}" if self.lang == "nb" else f"{local:%Y-%m-%d %H:%M}"

    def month(self, written: str) -> str:
        """A calendar month `2018-12` in words; what is no such month stays as it is written."""
        year, _, number = written.partition("-")
        name = self.word("month", number)
        return f"{name} {year}" if name != number else written

    def item(self, item: MonthItem) -> str:
        """What a line of the invoice is for, with its number and length where they say something."""
        name = item.name_nb if self.lang == "nb" else item.name_en
        words = self.word("item", item.kind)
        if item.kind == "calls":
            return self.say("item_calls", item=words, count=item.count, talk=self.clock(item.seconds))
        if item.kind == "minute_pack":
            return self.say("item_pack", item=words, name=name, minutes=item.seconds // _MINUTE)
        if item.kind == "extra_numbers":
            return self.say("item_count", item=words, count=item.count)
        return self.say("item_name", item=words, name=name)

    def day(self, written: str) -> str:
        """A civil date `2026-03-01` as people write it; what is no such date stays as it is written."""
        try:
            day = date.fromisoformat(written)
        except ValueError:
            return written
        return f"{day:%d.%m.%Y}" if self.lang == "nb" else day.isoformat()

    def iso(self, at: datetime) -> str:
        """A wall time for machines (HTML `datetime`)."""
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def clock(self, seconds: int) -> str:
        """A duration as on a telephone's display: `0:07`, `12:05`, `1:02:03`."""
        minutes, rest = divmod(max(0, seconds), _MINUTE)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

    def span(self, seconds: int) -> str:
        """A rough duration in words, in its largest one or two units."""
        seconds = max(0, seconds)
        if seconds < _MINUTE:
            return self.say("span_seconds", seconds=seconds)
        if seconds < _HOUR:
            return self.say("span_minutes", minutes=seconds // _MINUTE)
        if seconds < _DAY:
            return self.say("span_hours", hours=seconds // _HOUR, minutes=seconds % _HOUR // _MINUTE)
        return self.say("span_days", days=seconds // _DAY, hours=seconds % _DAY // _HOUR)

    def line_name(self, line: int | None) -> str:
        """Lines are numbered from 0 inside and from 1 for people."""
        return "–" if line is None else str(line + 1)

    def line_state(self, line: LineView) -> Badge:
        """What the telephone on a line does."""
        if line.ringing:
            return Badge("busy", self.say("line_ringing"))
        if line.call_id:
            return Badge("good", self.say("line_in_call"))
        if line.off_hook:
            heard = self.word("page", f"tone_{line.tone.value}") if line.tone else ""
            if line.announcement is not None:
                heard = f"«{self.word('announcement', line.announcement)}»"
            return Badge("busy", f"{self.say('line_off_hook')} – {heard}" if heard else self.say("line_off_hook"))
        return Badge("idle", self.say("line_on_hook"))

    def service(self, one: ServiceView) -> str:
        """What a user has set, in a sentence."""
        return self.notice(Notice(key=f"service.{one.key}", values={"number": one.number}))

    def registration(self, account: AccountView | None) -> Badge:
        """Whether an account is registered, and if not since when."""
        if account is None:
            return Badge("bad", self.say("not_registered"))
        level, key = ("good", "registered") if account.registered else ("bad", "not_registered")
        if account.since is None:
            return Badge(level, self.say(key))
        return Badge(level, self.say(f"{key}_since", when=self.when(account.since)))

    def answer(self, account: AccountView) -> str:
        """What the registrar said, in its own words: code and reason."""
        if not account.on_wire or not account.code:
            detail = account.reason or self.say("no_answer_yet")
            return detail if account.registered or not account.attempts else self.say("no_answer", detail=detail)
        return f"{account.code} {account.reason}".strip()

    def advice(self, account: AccountView) -> str:
        """What a failed registration means, in a sentence; empty for a working one."""
        if account.registered:
            return ""
        if not account.on_wire or not account.code:
            return self.say("advice_no_answer") if account.attempts else ""
        for codes, key in (
            ((401, 407), "advice_credentials"),
            ((403,), "advice_forbidden"),
            ((404, 410, 604), "advice_unknown"),
            ((408,), "advice_no_answer"),
        ):
            if account.code in codes:
                return self.say(key)
        return self.say("advice_server") if account.code >= 500 else self.say("advice_other")

    def call_state(self, call: LiveCallView) -> Badge:
        """How far a live call has come."""
        if call.held:
            return Badge("busy", self.say("call_held"))
        level = "good" if call.phase is CallPhase.ANSWERED else "busy"
        return Badge(level, self.word("phase", call.phase.value))

    def mos(self, mos_centi: int) -> str:
        """A mean opinion score with one decimal."""
        text = f"{mos_centi // 100}.{mos_centi % 100 // 10}"
        return text.replace(".", ",") if self.lang == "nb" else text

    def sound(self, sound: SoundView | None) -> str:
        """How one direction of a running call sounds: in a word, and in figures."""
        found = grade(sound.mos_centi) if sound is not None else None
        if sound is None or found is None:
            return self.say("sound_unknown")
        percent = f"{sound.loss_permille // 10}.{sound.loss_permille % 10}"
        return self.say(
            "sound_figures", grade=self.word("sound", found), mos=self.mos(sound.mos_centi), jitter=sound.jitter_ms,
            loss=percent.replace(".", ",") if self.lang == "nb" else percent,
        )  # fmt: skip

    def one_way(self, call: LiveCallView) -> str:
        """That one direction is dead, and since when; else empty."""
        if call.one_way is None:
            return ""
        return self.say(f"one_way_{call.one_way.value}", span=self.span(call.one_way_s))

    def cdr_sound(self, cdr: CdrView) -> tuple[str, str]:
        """How an ended call sounded, in a word, and the figures behind it; both empty where it is not known."""
        scores = [score for score in (cdr.heard_mos_centi, cdr.sent_mos_centi) if score]
        if cdr.one_way is None and not scores:
            return "", ""
        found = grade(min(scores)) if scores else None
        word = self.word("sound", "one_way" if cdr.one_way is not None else found or Grade.GOOD)
        heard, sent, worst = (
            self.mos(score) if score else "–"
            for score in (cdr.heard_mos_centi, cdr.sent_mos_centi, cdr.worst_mos_centi)
        )
        return word, self.say("sound_of_call", heard=heard, sent=sent, worst=worst)

    def call_price(self, call: LiveCallView) -> str:
        """The running price: an amount, free, or not known."""
        if call.amount_micro is not None:
            return self.money(call.amount_micro, call.currency)
        if call.kind is CallKind.EMERGENCY or call.direction.value == "incoming":
            return self.say("free")
        return "–"

    def cdr_price(self, cdr: CdrView) -> str:
        """What an ended call cost; a call without a price that should have one says so."""
        if cdr.amount_micro is not None:
            return self.money(cdr.amount_micro, cdr.currency)
        if cdr.unpriced:
            return self.say("unpriced")
        return self.say("free") if cdr.duration_ms and cdr.kind is CallKind.EMERGENCY else "–"

    def cdr_cause(self, cdr: CdrView) -> str:
        """Why a call ended; a refusal or a limit by its own sentence."""
        if cdr.limit:
            return self.word("limit", cdr.limit)
        return self.word("refusal", cdr.refusal) if cdr.refusal else self.word("cause", cdr.cause.value)

    def cdr_gaps(self, cdr: CdrView) -> str:
        """How much of the speech was missing, where that was to be heard; else empty."""
        gaps_ms = max(cdr.sent_gaps_ms, cdr.heard_gaps_ms)
        if gaps_ms * _AUDIBLE_SHARE < cdr.duration_ms or gaps_ms < _AUDIBLE_MS:
            return ""
        return self.say("speech_gaps", percent=max(1, min(100, 100 * gaps_ms // max(1, cdr.duration_ms))))

    def cdr_pack(self, cdr: CdrView) -> str:
        """How the seconds of a call are shared between minute packs and money; empty where no pack gave any."""
        if not cdr.pack_s:
            return ""
        return self.say("from_pack", pack=self.clock(cdr.pack_s), paid=self.clock(cdr.paid_s))

    def pack(self, pack: PackView) -> tuple[str, str]:
        """A minute pack by name, and what is used and left of it."""
        name = pack.name_nb if self.lang == "nb" else pack.name_en
        left_s = max(0, pack.seconds - pack.used_s)
        return name, self.say("pack_used", used=self.clock(pack.used_s), left=self.clock(left_s))

    def cap(self, cap: CapView, currency: str) -> tuple[str, str]:
        """A limit by name, and what is used of it."""
        limit = self.money(cap.limit_micro, currency)
        if cap.used_micro is None:
            return self.word("cap", cap.cap), self.say("cap_of_call", limit=limit)
        return self.word("cap", cap.cap), self.say("cap_used", used=self.money(cap.used_micro, currency), limit=limit)

    def stun(self, view: StunView) -> Badge:
        """From where the adapter is seen, and whether who says so answers."""
        if view.refusal:
            return Badge("bad", view.refusal)
        key = "stun_answers" if view.answers else "stun_silent_since" if view.outside else "stun_silent"
        return Badge("good" if view.answers else "bad", self.say(key, address=view.outside or "–", server=view.server))

    def packet_filter(self, view: FilterView) -> Badge:
        """What keeps strangers away from the telephone's ports, and what does not."""
        level = "good" if view.standing is FilterStanding.IN_FORCE else "busy"
        text = self.say(f"filter_{view.standing.value}", count=view.signalling, reason=view.error)
        if view.standing is FilterStanding.IN_FORCE and not view.media:
            text = f"{text} {self.say('filter_not_speech')}"
        return Badge(level, text)

    def library(self, view: LibraryView) -> Badge:
        """How many advisories of the SIP library are open, and how many are reached here."""
        if not view.known:
            return Badge("busy", self.say("advisories_unknown", version=view.version or "–"))
        reached = sum(one.reached == Reached.YES for one in view.advisories)
        if not view.advisories:
            return Badge("good", self.say("advisories_none", version=view.version))
        text = self.say("advisories_open", version=view.version, count=len(view.advisories), reached=reached)
        return Badge("busy" if reached else "good", text)

    def advisory(self, advisory: AdvisoryView) -> str:
        """An advisory in a sentence or three: what it is, whether it is reached and why, where it is fixed."""
        what, why = (advisory.what_nb, advisory.why_nb) if self.lang == "nb" else (advisory.what_en, advisory.why_en)
        fixed = self.say("advisory_fixed", release=advisory.fixed) if advisory.fixed else self.say("advisory_unfixed")
        return f"{what}. {self.word('page', f'advisory_{advisory.reached}')}: {why} {fixed}"

    def headline(self, snapshot: Snapshot) -> Badge:
        """The whole adapter in one line."""
        if not snapshot.gateway.connected:
            return Badge("bad", self.say("headline_gateway"))
        if not snapshot.card.up:
            return Badge("bad", self.say("headline_card"))
        down = sum(not account.registered for account in snapshot.accounts)
        if not snapshot.accounts:
            return Badge("bad", self.say("headline_no_accounts"))
        if down:
            return Badge("bad", self.say("headline_registration", down=down, all=len(snapshot.accounts)))
        if snapshot.problems or not snapshot.store.working:
            return Badge("busy", self.say("headline_problems"))
        return Badge("good", self.say("headline_good"))
