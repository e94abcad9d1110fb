"""Who is where: the bindings of addresses of record (RFC 3261 §10.3): pure, time is an argument."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

MAX_CONTACTS = 10
MAX_CONTACT = 512


class Contact(Struct, frozen=True):
    """One contact of a REGISTER; `expires_s` None: the header's or the registrar's default. `q` in thousandths."""

    uri: str
    expires_s: int | None = None
    q: int = 1000


class Binding(Struct, frozen=True):
    """A contact that can be called until `until` (ms), at the address its REGISTER came from."""

    uri: str
    source: tuple[str, int]
    until: int
    q: int


class RegistrarError(Exception):
    """A REGISTER that is refused: SIP status code and reason phrase. `min_expires_s` goes with 423."""

    def __init__(self, code: int, reason: str, *, min_expires_s: int | None = None) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.min_expires_s = min_expires_s


class _Record(Struct):
    bindings: tuple[Binding, ...]
    call_id: str
    cseq: int


class Registrar:
    """The location service. An accepted REGISTER replaces every earlier binding of its address of record.

    An adapter that restarts on another port must not leave a dead contact behind that calls are sent to.
    """

    def __init__(self, *, min_expires_s: int, max_expires_s: int) -> None:
        self._min_s = min_expires_s
        self._max_s = max_expires_s
        self._records: dict[str, _Record] = {}

    def register(
        self,
        aor: str,
        contacts: Sequence[Contact],
        *,
        call_id: str,
        cseq: int,
        source: tuple[str, int],
        now: int,
        expires_s: int | None = None,
    ) -> tuple[Binding, ...]:
        """Add, refresh or remove bindings and return those that are left, best first. Raises RegistrarError."""
        if len(contacts) > MAX_CONTACTS:
            raise RegistrarError(400, "Too Many Contacts")
        if any(len(contact.uri) > MAX_CONTACT for contact in contacts):
            raise RegistrarError(400, "Contact Too Long")
        record = self._records.get(aor)
        if record is not None and record.call_id == call_id and cseq <= record.cseq:
            raise RegistrarError(500, "CSeq Out Of Order")
        if not contacts:
            return self.bindings(aor, now)
        kept = tuple(self._bind(contact, expires_s, source, now) for contact in contacts)
        added = tuple(binding for binding in kept if binding is not None)
        if not added:
            gone = {contact.uri for contact in contacts}
            added = tuple(binding for binding in self.bindings(aor, now) if binding.uri not in gone)
        self._records[aor] = _Record(tuple(sorted(added, key=lambda binding: -binding.q)), call_id, cseq)
        return self._records[aor].bindings

    def unregister_all(self, aor: str, *, call_id: str, cseq: int) -> None:
        """Remove every binding (`Contact: *`, Expires 0). Raises RegistrarError."""
        record = self._records.get(aor)
        if record is not None and record.call_id == call_id and cseq <= record.cseq:
            raise RegistrarError(500, "CSeq Out Of Order")
        self._records[aor] = _Record((), call_id, cseq)

    def bindings(self, aor: str, now: int) -> tuple[Binding, ...]:
        """Return the live bindings of an address of record, best first."""
        record = self._records.get(aor)
        return () if record is None else tuple(binding for binding in record.bindings if binding.until > now)

    def expire(self, now: int) -> list[str]:
        """Forget what has run out; return the addresses of record that have nothing left because of it."""
        lost = []
        for aor, record in self._records.items():
            live = tuple(binding for binding in record.bindings if binding.until > now)
            if record.bindings and not live:
                lost.append(aor)
            record.bindings = live
        return lost

    def _bind(self, contact: Contact, header_s: int | None, source: tuple[str, int], now: int) -> Binding | None:
        asked = contact.expires_s if contact.expires_s is not None else header_s
        seconds = self._max_s if asked is None else min(asked, self._max_s)
        if seconds <= 0:
            return None
        if seconds < self._min_s:
            raise RegistrarError(423, "Interval Too Brief", min_expires_s=self._min_s)
        return Binding(contact.uri, source, now + seconds * 1000, contact.q)
