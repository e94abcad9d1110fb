"""What pjsua2 does not say or set through Python: read and set in the library itself, each behind a check."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType

import pjsua2 as pj

_DEFAULT_TIMERS_MS = (500, 4000, 5000)
"""T1, T2 and T4 as they lie one after another in `pjsip_cfg_t.tsx` (RFC 3261 table 4), before timer D."""
_DEFAULT_TIMER_D_MS = 32_000
_SEARCH_WORDS = 64
_FALLBACK_MAX_CALLS = 4
"""PJSUA_MAX_CALLS as every known package compiles it; used only where the library does not say."""


class SipError(Exception):
    """The SIP library could not be started; the message is a sentence for a technician."""


def _bindings() -> ModuleType:
    for name in ("pjsua2._pjsua2", "_pjsua2"):
        module = sys.modules.get(name)
        if module is not None:
            return module
    raise SipError("the native part of pjsua2 is not loaded")


class Native:
    """The library's own symbols. Every method is safe where a symbol is missing: it then answers with the default."""

    def __init__(self) -> None:
        pj.Endpoint  # noqa: B018  the package loads its native part at the first use of a name
        path = _bindings().__file__
        if path is None:
            raise SipError("the native part of pjsua2 has no file")
        self._library = ctypes.CDLL(path)

    def quiet(self) -> None:
        """Silence the lines that the library prints to stdout before its log settings are read."""
        try:
            self._library.pj_log_set_level(0)
        except AttributeError:
            return

    def max_calls(self) -> int:
        """How many calls the library was compiled for."""
        try:
            return int(self._library.pjsua_call_get_max_count())
        except AttributeError:
            return _FALLBACK_MAX_CALLS

    def calls_in_use(self, known: int) -> int:
        """Call slots taken, those of hung-up calls whose transaction still lives included; `known` if not readable."""
        try:
            return int(self._library.pjsua_call_get_count())
        except AttributeError:
            return known

    def shorten_transactions(self, timeout_ms: int) -> bool:
        """Let a transaction without an answer die after `timeout_ms` instead of 32 s, so that it frees its call slot.

        Set only where the four default timers are found side by side, once: the layout is not an interface.
        """
        try:
            words = (ctypes.c_uint32 * _SEARCH_WORDS).in_dll(self._library, "pjsip_sip_cfg_var")
        except ValueError:
            return False
        values = tuple(words)
        length = len(_DEFAULT_TIMERS_MS)
        found = [at for at in range(_SEARCH_WORDS - length) if values[at : at + length] == _DEFAULT_TIMERS_MS]
        # A stack that was started before in this process has left its own value.
        if len(found) != 1 or values[found[0] + length] not in (_DEFAULT_TIMER_D_MS, timeout_ms):
            return False
        words[found[0] + length] = timeout_ms
        return True
