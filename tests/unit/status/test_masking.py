from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from agent.status.masking import masked
from agent.status.sample import ABROAD, FIRST, OTHER, SECOND, sample_snapshot
from agent.status.snapshot import CdrUpload, MoneyView, Notice, Snapshot


def test_status_json_has_no_full_number_and_stays_a_snapshot():
    encoded = msgspec.json.encode(masked(sample_snapshot()))
    for number in (FIRST, SECOND, OTHER, ABROAD):
        assert number[3:].encode() not in encoded
    again = msgspec.json.decode(encoded, type=Snapshot)
    assert again.cdrs[0].upload is CdrUpload.PENDING
    assert again.cdrs[0].id == sample_snapshot().cdrs[0].id
    assert again.price_list.version == "2026-03"


@given(st.from_regex(r"\+?[1-9][0-9]{7,14}", fullmatch=True), st.sampled_from(["reason", "value", "account", "error"]))
def test_number_in_any_free_text_is_masked(number, place):
    snapshot = structs.replace(sample_snapshot(), cdrs=[], money=MoneyView())
    said = f"refused by {number} today"
    if place == "reason":
        snapshot = structs.replace(snapshot, accounts=[structs.replace(snapshot.accounts[0], reason=said)])
    elif place == "account":
        snapshot = structs.replace(snapshot, accounts=[structs.replace(snapshot.accounts[0], account=number)])
    elif place == "value":
        snapshot = structs.replace(snapshot, problems=[Notice(key="problem.x", values={"account": said})])
    else:
        snapshot = structs.replace(snapshot, versions=structs.replace(snapshot.versions, python=said))
    assert number.encode() not in msgspec.json.encode(masked(snapshot))
