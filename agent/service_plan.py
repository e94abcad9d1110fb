"""The supplementary services that a customer has: shipped ones, as the operator changes them and the product allows."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.core.catalogue import Product
from agent.core.entry import Feature
from agent.core.services import CodeTable, Service, ServiceCodes, ServiceMode, ServiceProfile
from agent.operator.api import ServiceSettings

_FEATURES: Final = {
    Service.FORWARD_ALL: Feature.CALL_FORWARDING,
    Service.FORWARD_BUSY: Feature.CALL_FORWARDING,
    Service.FORWARD_NO_ANSWER: Feature.CALL_FORWARDING,
    Service.WITHHOLD: Feature.CALLER_ID_RESTRICTION,
    Service.WITHHOLD_ONCE: Feature.CALLER_ID_RESTRICTION,
    Service.SHOW_ONCE: Feature.CALLER_ID_RESTRICTION,
}
"""Services that a product must list; the others belong to any telephone."""


def services_of(shipped: ServiceProfile, told: ServiceSettings, product: Product | None) -> ServiceProfile:
    """The profile for the gateway; `product` None: one that this version does not know, which takes nothing away."""
    known = {service.value: service for service in Service}
    codes = dict(shipped.codes) | {known[name]: one for name, one in told.codes.items() if name in known}
    if product is not None:
        codes = {service: _allowed(service, one, product) for service, one in codes.items()}
    changes = {
        name: value
        for name in ("no_answer_s", "hotline_s", "platform_bills")
        if (value := getattr(told, name)) is not None
    }
    return msgspec.structs.replace(shipped, codes=codes, **changes)


def is_platform_code(profile: ServiceProfile, number: str) -> bool:
    """Whether what was dialled is the code of a service that the operator's platform performs: no call to anybody."""
    if number[:1] not in ("*", "#"):
        return False
    read = CodeTable(profile).read(number)
    return read is not None and read.whole and read.mode is ServiceMode.PLATFORM


def _allowed(service: Service, codes: ServiceCodes, product: Product) -> ServiceCodes:
    feature = _FEATURES.get(service)
    if feature is None or product.has(feature):
        return codes
    return ServiceCodes(mode=ServiceMode.OFF)
