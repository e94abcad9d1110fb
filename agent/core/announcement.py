"""What a telephone says in words, and in which language: names of short recordings (`config/announcements`)."""

from __future__ import annotations

import enum


class Language(enum.StrEnum):
    """Languages that the adapter speaks."""

    NB = "nb"
    EN = "en"


class Announcement(enum.StrEnum):
    """A recording; its words are the sentence `announcement.NAME` of the catalogue of texts.

    A name that a gateway does not know is no error: its agent may be newer. The tone alone is heard then.
    """

    NOT_READY = "not_ready"
    SUBSCRIPTION_INACTIVE = "subscription_inactive"
    SUBSCRIPTION_ENDED = "subscription_ended"
    NOT_IN_PLAN = "not_in_plan"
    BARRED = "barred"
    NO_PRICE = "no_price"
    LIMIT_CALL = "limit_call"
    LIMIT_MONTH = "limit_month"
    LIMIT_ABROAD = "limit_abroad"
    LIMIT_PREMIUM = "limit_premium"
    LIMIT_HOUR = "limit_hour"
    LIMIT_DAY = "limit_day"
    NO_BALANCE = "no_balance"
    TIME_UP = "time_up"
    LIMIT_SOON = "limit_soon"
    TIME_UP_SOON = "time_up_soon"
    NO_SUCH_NUMBER = "no_such_number"
    INCOMPLETE_NUMBER = "incomplete_number"
    NO_SUCH_SERVICE = "no_such_service"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    NETWORK_FAILURE = "network_failure"
    UNAVAILABLE = "unavailable"
    TOO_MANY_CALLS = "too_many_calls"
    PREEMPTED = "preempted"
    EMERGENCY_FAILED = "emergency_failed"
    EMERGENCY_ONLY = "emergency_only"
    SERVICE_ON = "service_on"
    SERVICE_OFF = "service_off"
    SERVICE_REFUSED = "service_refused"
    CODE_ACCEPTED = "code_accepted"
    CODE_REFUSED = "code_refused"


def known(name: str) -> Announcement | None:
    """The announcement of this name; None where there is none."""
    try:
        return Announcement(name)
    except ValueError:
        return None
