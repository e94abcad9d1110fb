"""The published OpenAPI document is what the code says, and every route of the server is in it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from agent.lab.operator.api import OperatorApi
from agent.lab.operator.openapi import document, encoded


def test_the_document_in_the_documentation_is_current(repository):
    published = (repository / "docs" / "operator-api.openapi.json").read_bytes()
    assert published == encoded(), "run: python -m agent.lab.operator.openapi > docs/operator-api.openapi.json"


def test_every_route_is_described_and_none_is_invented():
    with ThreadPoolExecutor(1) as pool:
        api = OperatorApi(device=None, desk=None, published=None, ledger=None, ledger_thread=pool, sink=None, now=None)
        served = {(route.method.lower(), route.path) for route in api.routes()}
    described = {(method, path) for path, methods in document()["paths"].items() for method in methods}
    assert described == served


def test_every_reference_leads_somewhere():
    text = encoded().decode()
    schemas = document()["components"]["schemas"]
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names
    assert names <= set(schemas)
    json.loads(text)


def test_no_path_of_the_lab_is_in_the_operators_interface():
    assert "/lab/" not in encoded().decode()


def test_the_prose_names_every_route(repository):
    prose = (repository / "docs" / "operator-api.md").read_text(encoding="utf-8")
    for path in document()["paths"]:
        assert f"`{path}" in prose or f" {path}" in prose, path
