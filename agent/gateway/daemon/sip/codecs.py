"""Keeps the library to the codecs that the accounts list, and says which of them it does not have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agent.core.codecs import G711, Chosen, choose, plain, with_g711
from agent.gateway import protocol

_DEFAULT: Final = Chosen(G711)


class Codecs:
    """`enable` makes the library use exactly these codecs, the first one first; `having` is what it can be told."""

    def __init__(
        self, enable: Callable[[Sequence[str]], None], having: Callable[[], Sequence[str]],
        log: Callable[[str, str, str], None],
    ) -> None:  # fmt: skip
        self._enable = enable
        self._having = having
        self._log = log
        self._chosen: dict[str, Chosen] = {}
        self._told: dict[str, Chosen] = {}

    def use(self, accounts: Sequence[protocol.Account]) -> None:
        """Take the accounts' lists; a name that is not to be had is refused in the log, the rest of its list works."""
        having = self._having()
        self._chosen = {account.id: choose(account.codecs, having) for account in accounts}
        for name, chosen in self._chosen.items():
            if self._told.get(name, _DEFAULT) != chosen:
                self._tell(name, chosen, having)
        self._told = self._chosen
        self._enable(self._all())

    def of(self, account: str, *, machine: bool = False, emergency: bool = False) -> tuple[str, ...]:
        """What a call of this account may use, the best first."""
        codecs = self._chosen.get(account, _DEFAULT).codecs
        if machine:
            codecs = plain(codecs) or G711
        return with_g711(codecs) if emergency else codecs

    @contextlib.contextmanager
    def for_call(self, *, emergency: bool) -> Iterator[None]:
        """While an emergency call makes its offer, G.711 is there in both forms, whatever is listed."""
        if not emergency:
            yield
            return
        self._enable(with_g711(self._all()))
        try:
            yield
        finally:
            self._enable(self._all())

    def _all(self) -> list[str]:
        """Every account's, those first that stand earliest in any list."""
        lists = [chosen.codecs for chosen in self._chosen.values()] or [G711]
        ranks = [(codecs.index(name), at, name) for at, codecs in enumerate(lists) for name in codecs]
        return list(dict.fromkeys(name for _, _, name in sorted(ranks)))

    def _tell(self, account: str, chosen: Chosen, having: Sequence[str]) -> None:
        for name in chosen.refused:
            detail = f"account {account}: codec {name}; the library has {', '.join(having)}"
            self._log("error", "sip_codec_refused", detail)
        if chosen.added:
            self._log(
                "warning", "sip_codec_added", f"account {account}: its list has no G.711, which every call may need"
            )
