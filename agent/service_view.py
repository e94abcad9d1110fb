"""What the user of a line has set by codes, as the page tells it."""

from __future__ import annotations

from agent.core.services import FORWARDING, LineServices
from agent.status.snapshot import ServiceView


def service_views(settings: LineServices | None) -> list[ServiceView]:
    """One view for each setting that is not as a new telephone has it; `key` is that of a sentence `service.KEY`."""
    if settings is None:
        return []
    found = [
        ServiceView(key=service.value, number=str(getattr(settings, service.value)))
        for service in FORWARDING if settings.is_set(service)
    ]  # fmt: skip
    if settings.hotline:
        found.append(ServiceView(key="hotline", number=settings.hotline))
    if settings.do_not_disturb:
        found.append(ServiceView(key="do_not_disturb"))
    if not settings.call_waiting:
        found.append(ServiceView(key="call_waiting"))
    if settings.withhold is not None:
        found.append(ServiceView(key="withhold" if settings.withhold else "show"))
    return found
