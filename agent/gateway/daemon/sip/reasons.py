"""Why something failed, in words that a technician may read."""

from __future__ import annotations

import pjsua2 as pj

from agent.core.foreign_text import one_line, phrase


def reason_of(error: Exception) -> str:
    """One line; the library's own words may hold a number, which is masked, ours do not."""
    return phrase(str(error.reason)) if isinstance(error, pj.Error) else one_line(str(error))
