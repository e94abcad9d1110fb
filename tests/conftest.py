"""What all tests share: under CI nothing may be skipped, and a peer that is missing is named."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from firmware_bridge.reference import ReferenceCard, build
from firmware_bridge.simulator import PtyCard

IN_CI = bool(os.environ.get("CI"))

# A busy machine is no failure, and CI judges a commit, not the day's luck: new examples are sought at the desk.
settings.register_profile("desk", deadline=None)
# Nor does it make a failure small, which may take longer than the whole run: the blob it prints does that at the desk.
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, phases=(Phase.explicit, Phase.generate)
)
settings.register_profile("few", deadline=None, max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if IN_CI else "desk"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, by name, the tests whose peer program is not installed."""
    del config
    for item in items:
        for mark in item.iter_markers("peer"):
            missing = [name for name in mark.args if shutil.which(name) is None]
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} not installed (make peers)"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Under CI a skip or an expected failure is a failure: a test that did not run shows nothing."""
    del call
    report: pytest.TestReport = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} did not run: {report.longrepr}"
    return report


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Under CI an empty parametrisation is an error."""
    if IN_CI:
        for mark in metafunc.definition.iter_markers("parametrize"):
            if len(mark.args) > 1 and hasattr(mark.args[1], "__len__") and not len(mark.args[1]):
                pytest.fail(f"{metafunc.definition.nodeid}: empty parametrisation", pytrace=False)


CARDS = ("python", pytest.param("c", marks=pytest.mark.peer("gcc", "make")))
"""The far ends of the link that a test may be given: the simulator, and the reference device in C."""


@pytest.fixture(scope="session")
def reference_device(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a product of the reference device once: `all`, `checked`, `library` or `fuzz`."""
    folder = tmp_path_factory.mktemp("reference")
    built: dict[str, Path] = {}

    def product(target: str) -> Path:
        if target not in built:
            built[target] = build(target, folder)
        return built[target]

    return product


@pytest.fixture(params=CARDS, scope="module")
def any_card(request: pytest.FixtureRequest, reference_device: Callable[[str], Path]) -> Callable[..., Any]:
    """`PtyCard`, or what has its methods for the reference device."""
    if request.param == "python":
        return PtyCard
    return functools.partial(ReferenceCard, reference_device("checked"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent
