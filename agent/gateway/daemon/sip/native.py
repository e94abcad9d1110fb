"""What pjsua2 does not say or set through Python: read and set in the library itself, each behind a check."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import ModuleType

import pjsua2 as pj

_DEFAULT_TIMERS_MS = (500, 4000, 5000)
"""T1, T2 and T4 as they lie one after another in `pjsip_cfg_t.tsx` (RFC 3261 table 4), before timer D."""
_DEFAULT_TIMER_D_MS = 32_000
_SEARCH_WORDS = 64
_CONTACT_POOL = 1024
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


class PjText(ctypes.Structure):
    """`pj_str_t`."""

    _fields_ = (("text", ctypes.c_void_p), ("length", ctypes.c_ssize_t))

    def read(self) -> str:
        """What it says; '' where it points nowhere."""
        return ctypes.string_at(self.text, max(0, self.length)).decode("ascii", "replace") if self.text else ""


class Native:
    """The library's own symbols. Every method is safe where a symbol is missing: it then answers with the default."""

    def __init__(self) -> None:
        pj.Endpoint  # noqa: B018  the package loads its native part at the first use of a name
        path = _bindings().__file__
        if path is None:
            raise SipError("the native part of pjsua2 has no file")
        self.library = ctypes.CDLL(path)
        self.size = Path(path).stat().st_size
        """Length of the library's file."""

    def quiet(self) -> None:
        """Silence the lines that the library prints to stdout before its log settings are read."""
        try:
            self.library.pj_log_set_level(0)
        except AttributeError:
            return

    def max_calls(self) -> int:
        """How many calls the library was compiled for."""
        try:
            return int(self.library.pjsua_call_get_max_count())
        except AttributeError:
            return _FALLBACK_MAX_CALLS

    def calls_in_use(self, known: int) -> int:
        """Call slots taken, those of hung-up calls whose transaction still lives included; `known` if not readable."""
        try:
            return int(self.library.pjsua_call_get_count())
        except AttributeError:
            return known

    def own_contact(self, account: int) -> str:
        """The Contact that the library would write for an account now; '' where it does not say.

        It knows the local port of a connection, which it opens where there is none.
        """
        try:
            create, give_back = self.library.pjsua_acc_create_uac_contact, self.library.pj_pool_release
            make_pool = self.library.pjsua_pool_create
        except AttributeError:
            return ""
        make_pool.restype = ctypes.c_void_p
        make_pool.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t)
        give_back.argtypes = (ctypes.c_void_p,)
        create.argtypes = (ctypes.c_void_p, ctypes.POINTER(PjText), ctypes.c_int, ctypes.POINTER(PjText))
        pool = make_pool(b"contact", _CONTACT_POOL, _CONTACT_POOL)
        if not pool:
            return ""
        try:
            anybody = ctypes.create_string_buffer(b"sip:contact.invalid")  # the account's route leads the way
            contact, peer = PjText(), PjText(ctypes.addressof(anybody), len(anybody.value))
            made = create(pool, ctypes.byref(contact), account, ctypes.byref(peer)) == 0
            return contact.read() if made else ""
        finally:
            give_back(pool)

    def shorten_transactions(self, timeout_ms: int) -> bool:
        """Let a transaction without an answer die after `timeout_ms` instead of 32 s, so that it frees its call slot.

        Set only where the four default timers are found side by side, once: the layout is not an interface.
        """
        try:
            words = (ctypes.c_uint32 * _SEARCH_WORDS).in_dll(self.library, "pjsip_sip_cfg_var")
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
