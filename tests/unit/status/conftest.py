from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from agent.status.page import Page
from agent.texts import Texts


@pytest.fixture(scope="session")
def texts() -> Texts:
    return Texts.load()


@pytest.fixture(scope="session")
def page(texts) -> Page:
    return Page(texts, ZoneInfo("Europe/Oslo"))
