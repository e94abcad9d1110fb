"""Which supplementary services a customer has, and what the page tells of those that are set."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.catalogue import Feature
from agent.core.services import LineServices, Service, ServiceCodes, ServiceMode
from agent.data import load_products, load_services
from agent.operator.api import ServiceSettings, SipProfile
from agent.service_plan import is_platform_code, services_of
from agent.service_view import service_views
from agent.texts import Texts

SHIPPED = load_services()
NOBODY_SAYS = ServiceSettings()
PRODUCT = load_products().products[0]


def test_what_is_shipped_is_what_a_customer_has_whose_operator_says_nothing():
    assert services_of(SHIPPED, NOBODY_SAYS, PRODUCT) == SHIPPED
    assert services_of(SHIPPED, NOBODY_SAYS, None) == SHIPPED


@pytest.mark.parametrize(
    ("feature", "gone"),
    [
        (Feature.CALL_FORWARDING, {Service.FORWARD_ALL, Service.FORWARD_BUSY, Service.FORWARD_NO_ANSWER}),
        (Feature.CALLER_ID_RESTRICTION, {Service.WITHHOLD, Service.WITHHOLD_ONCE, Service.SHOW_ONCE}),
    ],
)
def test_what_the_product_does_not_list_is_off_whatever_the_operator_says(feature, gone):
    product = msgspec.structs.replace(PRODUCT, features=PRODUCT.features - {feature})
    told = ServiceSettings(codes={one.value: ServiceCodes(mode=ServiceMode.LOCAL, on=["*1#"]) for one in gone})
    profile = services_of(SHIPPED, told, product)
    shipped = {service for service in Service if SHIPPED.performs(service)}
    assert {service for service in shipped if profile.mode(service) is ServiceMode.OFF} == gone


def test_the_operator_changes_what_he_names_and_nothing_else():
    told = ServiceSettings(
        codes={"hotline": ServiceCodes(mode=ServiceMode.PLATFORM, on=["*54*N#"]), "hold_music": ServiceCodes()},
        no_answer_s=30, platform_bills=True,
    )  # fmt: skip
    profile = services_of(SHIPPED, told, PRODUCT)
    assert profile.codes[Service.HOTLINE].on == ["*54*N#"]
    assert (profile.no_answer_s, profile.hotline_s, profile.platform_bills) == (30, SHIPPED.hotline_s, True)
    assert {s: c for s, c in profile.codes.items() if s is not Service.HOTLINE} == {
        s: c for s, c in SHIPPED.codes.items() if s is not Service.HOTLINE
    }


def test_a_service_that_this_version_does_not_know_makes_no_subscription_an_error():
    body = b'{"services": {"codes": {"hold_music": {"mode": "platform", "on": ["*99#"]}}}}'
    assert msgspec.json.decode(body, type=SipProfile).services.codes["hold_music"].on == ["*99#"]


@pytest.mark.parametrize(
    ("number", "code"), [("*54*22334455#", True), ("*31*22334455", False), ("#31#", False), ("+4722334455", False)]
)
def test_only_whole_codes_of_the_platform_are_no_calls_to_anybody(number, code):
    told = ServiceSettings(
        codes={
            "hotline": ServiceCodes(mode=ServiceMode.PLATFORM, on=["*54*N#"]),
            "withhold_once": ServiceCodes(mode=ServiceMode.PLATFORM, on=["*31*N"]),
        }
    )
    assert is_platform_code(services_of(SHIPPED, told, PRODUCT), number) is code


def test_every_setting_has_its_sentence_in_both_languages():
    everything = LineServices(
        forward_all="+4722334455", forward_busy="+4722334455", forward_no_answer="+4722334455", call_waiting=False,
        withhold=True, hotline="+4722334455", do_not_disturb=True,
    )  # fmt: skip
    views = [*service_views(everything), *service_views(LineServices(withhold=False))]
    assert [view.key for view in views] == [
        "forward_all", "forward_busy", "forward_no_answer", "hotline", "do_not_disturb", "call_waiting", "withhold",
        "show",
    ]  # fmt: skip
    texts = Texts.load()
    for view in views:
        for lang in ("nb", "en"):
            assert texts.say(f"service.{view.key}", lang, number=view.number)
            assert ("number" in texts.fields(f"service.{view.key}")) is bool(view.number)


def test_nothing_set_is_nothing_told():
    assert service_views(None) == service_views(LineServices()) == []
