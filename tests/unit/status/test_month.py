"""The month's estimate and the end of a subscription as people read them."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from agent.status.masking import masked
from agent.status.sample import healthy_snapshot, sample_snapshot
from agent.status.snapshot import MonthTotal, MonthView, Notice, Snapshot


def fragment(page, snapshot: Snapshot, name: str, lang: str = "nb") -> str:
    html = page.fragments(masked(snapshot), lang)[name]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("lang", "facts"),
    [
        (
            "nb",
            (
                "mars 2026 så langt", "Månedspris, Privatabonnement 149,00 kr, inkl. mva.",
                "Minuttpakke Polen (100 min inkludert) 49,00 kr, inkl. mva. (eksempelpris)",
                "Samtaler (47, taletid 2:53:14) 212,05 kr", "Sum (inkl. mva.) 410,05 kr",
                "Det faktureres etterskuddsvis: mars 2026 kommer på fakturaen i april 2026.",
            ),
        ),
        (
            "en",
            (
                "March 2026 so far", "Monthly fee, Private subscription NOK 149.00", "(sample price)",
                "Calls (47, talk 2:53:14) NOK 212.05", "NOK 410.05",
                "Billing is in arrears: March 2026 is invoiced in April 2026.",
            ),
        ),
    ],
)  # fmt: skip
def test_the_month_reads_like_the_invoice_to_come(page, lang, facts):
    seen = fragment(page, sample_snapshot(), "money", lang)
    for fact in facts:
        assert fact in seen, fact


def test_december_is_over_in_january_and_is_invoiced_then(page):
    december = MonthView(month="2018-12", invoiced_in="2019-01", complete=True)
    money = structs.replace(sample_snapshot().money, months=[december])
    seen = fragment(page, structs.replace(sample_snapshot(), money=money), "money")
    assert "desember 2018 så langt" not in seen
    assert "desember 2018 kommer på fakturaen i januar 2019" in seen


def test_sums_that_say_different_things_of_tax_stand_apart(page):
    month = MonthView(
        month="2019-01", invoiced_in="2019-02",
        totals=[MonthTotal(amount_micro=149_000_000), MonthTotal(amount_micro=5_000_000, vat="excluded")],
    )  # fmt: skip
    money = structs.replace(sample_snapshot().money, months=[month])
    seen = fragment(page, structs.replace(sample_snapshot(), money=money), "money", "en")
    assert len(re.findall(r"Total \(", seen)) == 2
    assert "NOK 154.00" not in seen


def test_an_ended_subscription_says_since_when_and_what_it_was(page):
    snapshot = healthy_snapshot()
    assert snapshot.subscription is not None
    ended = structs.replace(snapshot.subscription, ended=True, last_day="2018-12-31", was="iplink Topp")
    problem = Notice(key="problem.subscription_ended", values={"day": "2018-12-31"})
    shown = structs.replace(snapshot, subscription=ended, problems=[problem])
    seen = fragment(page, shown, "service")
    for fact in ("Tidligere abonnement iplink Topp", "Avsluttet", "Siste dag 31.12.2018"):
        assert fact in seen, fact
    assert "Bare nødnumre kan ringes" in fragment(page, shown, "problems")
