"""Tells the library where the servers are whose names a TLS route keeps: it would ask the DNS by itself, and block.

The certificate is judged by the name in the route, so the name must stay there, while the address is the one that our
own resolver found and that the certificate was checked at. The library has a place for a resolver of the application's;
ours puts the address in the name's place and hands on, and leaves every other name and address to the library.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from agent.gateway.daemon.sip.native import Native, PjText, SipError

_MAX_NAME: Final = 255


class _Host(ctypes.Structure):
    """`pjsip_host_info`, the same from 2.10 to 2.17."""

    _fields_ = (("flag", ctypes.c_uint), ("kind", ctypes.c_int), ("name", PjText), ("port", ctypes.c_int))


_RESOLVE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(_Host), ctypes.c_void_p, ctypes.c_void_p
)


class _Resolver(ctypes.Structure):
    """`pjsip_ext_resolver`."""

    _fields_ = (("resolve", _RESOLVE),)


class ServerNames:
    """The names of one running library. For the thread that runs it."""

    def __init__(self, native: Native) -> None:
        self._library = native.library
        self._addresses: dict[str, str] = {}
        self._ours = _Resolver(_RESOLVE(self._resolve))
        self._endpoint: int | None = None

    def use(self, name: str, address: str) -> None:
        """Lead requests for `name` to `address` from now on. Raises SipError where the library has no place for it."""
        if self._endpoint is None:
            self._install()
        self._addresses[name.lower()] = address

    def _install(self) -> None:
        try:
            find = self._library.pjsua_get_pjsip_endpt
            self._set = self._library.pjsip_endpt_set_ext_resolver
            self._hand_on = self._library.pjsip_resolve
        except AttributeError as error:
            raise SipError("this SIP library takes no addresses for names, so it cannot speak TLS here") from error
        find.restype = ctypes.c_void_p
        self._set.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        self._hand_on.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._hand_on.restype = None
        endpoint = find()
        if self._set(endpoint, ctypes.addressof(self._ours)) != 0:
            raise SipError("the SIP library does not take addresses for names, so it cannot speak TLS here")
        self._endpoint = endpoint

    def _resolve(self, resolver: int, pool: int, wanted: Any, token: int, answer: int) -> None:
        """Called by the library, inside a call of ours or its poll; it answers before it returns."""
        host = wanted
        address = self._addresses.get(_name(wanted.contents))
        if address is not None:
            text = ctypes.create_string_buffer(address.encode())
            original = wanted.contents
            found = _Host(original.flag, original.kind, PjText(ctypes.addressof(text), len(address)), original.port)
            host = ctypes.pointer(found)
        self._set(self._endpoint, None)
        try:
            self._hand_on(resolver, pool, host, token, answer)
        finally:
            self._set(self._endpoint, ctypes.addressof(self._ours))


def _name(host: _Host) -> str:
    return str(host.name.read()).lower() if host.name.length <= _MAX_NAME else ""
