"""The operator's HTTP API as an adapter meets it: identity, files, records, usage, and what goes wrong."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import socket
import urllib.error
import uuid
from pathlib import Path

import msgspec
import pytest

from agent.core.cdr import Cdr, Price
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.operator.api import MAX_BATCH, MAX_BODY, CdrBatch, CdrBatchResult, FileInfo, Health, Subscription, Usage


def cdr(**changes) -> Cdr:
    """An answered outgoing call of 61.2 s that cost 1.50."""
    price = Price(
        product="lab",
        price_list="lab",
        version="2026-01",
        prefix="47",
        destination="Norway",
        currency="NOK",
        vat="included",
        amount_micro=1_500_000,
        exact="3/2",
        billed_s=62,
        steps=[],
    )
    record = Cdr(
        id=str(uuid.uuid4()),
        direction=Direction.OUTGOING,
        kind=CallKind.ORDINARY,
        line=0,
        account="adapter",
        own_number="+4721000001",
        number="+4722345678",
        boot_id="b",
        began_ms=1000,
        began_at="2026-03-15T12:00:00Z",
        time_trusted=True,
        duration_ms=61_200,
        setup_ms=900,
        cause=Cause.NORMAL,
        released_by=Party.LOCAL,
        price=price,
    )
    return msgspec.structs.replace(record, **changes)


def batch(*records: Cdr) -> bytes:
    return msgspec.json.encode(CdrBatch(epoch="e1", records=list(records)))


def upload(operator, body: bytes, **headers):
    status, _, answer = operator.request("POST", "/v1/cdr", body, Content_Type="application/json", **headers)
    return status, answer


def verdicts(operator, *records: Cdr) -> list[str]:
    status, answer = upload(operator, batch(*records))
    assert status == 200, answer
    results = msgspec.json.decode(answer, type=CdrBatchResult).results
    assert [result.id for result in results] == [record.id for record in records]
    return [str(result.verdict) for result in results]


def detail(answer: bytes) -> str:
    return json.loads(answer)["detail"]


def order(operator, **faults) -> None:
    status, _, _ = operator.request("POST", "/lab/faults", json.dumps(faults).encode())
    assert status == 200


# --- identity ------------------------------------------------------------------------------------------


def test_health_needs_no_identity_and_tells_the_time(standing):
    status, _, body = standing.request("GET", "/v1/health", identity=False)
    assert status == 200
    health = msgspec.json.decode(body, type=Health)
    assert health.status == "ok"
    assert health.time.endswith("+00:00")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-secret", "X_Device_Id": "lab-adapter"},
        {"Authorization": "Basic {secret}", "X_Device_Id": "lab-adapter"},
        {"Authorization": "Bearer {secret}", "X_Device_Id": "another"},
        {"Authorization": "Bearer {secret}"},
        {"Authorization": "Bearer sec\xe9t", "X_Device_Id": "\xe6"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/subscription", "/v1/usage?month=2026-03", "/lab/cdrs", "/v1/nothing", "/"])
def test_without_the_right_identity_nothing_is_told(standing, headers, path):
    filled = {name: value.replace("{secret}", standing.config.device.secret) for name, value in headers.items()}
    status, answered, body = standing.request("GET", path, identity=False, **filled)
    assert status == 401
    assert answered["WWW-Authenticate"] == "Bearer"
    assert standing.config.device.secret not in body.decode()


def test_a_blocked_device_is_forbidden_but_health_stays(operator):
    order(operator, blocked=True)
    assert operator.request("GET", "/v1/subscription")[0] == 403
    assert operator.request("GET", "/v1/health")[0] == 200
    order(operator)
    assert operator.request("GET", "/v1/subscription")[0] == 200


# --- subscription and files ------------------------------------------------------------------------------------------


def subscription(operator) -> Subscription:
    status, _, body = operator.request("GET", "/v1/subscription")
    assert status == 200, body
    return msgspec.json.decode(body, type=Subscription)


def test_the_subscription_leads_to_the_sip_platform_and_the_price_list(standing):
    had = subscription(standing)
    (registration,) = had.registrations
    adapter = standing.config.users[0]
    assert registration.targets == ["{}:{};transport=udp".format(*standing.sip)]
    assert (registration.user, registration.password) == ("adapter", adapter.password)
    assert [number.number for number in had.numbers] == ["+4721000001", "+4721000002"]
    data = standing.request("GET", f"/v1/files/{had.price_list.name}/{had.price_list.sha256}")[2]
    assert hashlib.sha256(data).hexdigest() == had.price_list.sha256
    assert (len(data), had.price_list.version) == (had.price_list.length, "2026-01")


def test_a_file_is_immutable_and_revalidated_by_its_digest(standing):
    info = subscription(standing).price_list
    path = f"/v1/files/{info.name}/{info.sha256}"
    status, headers, _ = standing.request("GET", path)
    assert status == 200
    assert headers["ETag"] == f'"{info.sha256}"'
    assert "immutable" in headers["Cache-Control"]
    assert standing.request("GET", path, If_None_Match=headers["ETag"])[0] == 304
    assert standing.request("GET", f"/v1/files/{info.name}", If_None_Match=headers["ETag"])[0] == 304


@pytest.mark.parametrize(
    "path", ["/v1/files/none.csv", "/v1/files/lab.csv/" + "0" * 64, "/v1/files/lab.csv/nonsense", "/v1/nothing"]
)
def test_what_is_not_there_is_not_found(standing, path):
    assert standing.request("GET", path)[0] == 404


def test_a_new_price_list_becomes_current_and_the_old_one_stays(operator):
    old = subscription(operator).price_list
    status, _, body = operator.request("POST", "/lab/files/lab.csv?version=2026-07", b"prefix;price\n47;0.20\n")
    assert status == 200
    new = subscription(operator).price_list
    assert new == msgspec.json.decode(body, type=FileInfo)
    assert new.version == "2026-07"
    assert operator.request("GET", f"/v1/files/lab.csv/{old.sha256}")[0] == 200


def test_a_changed_subscription_has_another_revision(operator):
    before = subscription(operator)
    status, _, body = operator.request("POST", "/lab/subscription", b'{"active": false}')
    assert status == 200
    after = msgspec.json.decode(body, type=Subscription)
    assert (after.active, after.product) == (False, before.product)
    assert after.revision != before.revision
    assert subscription(operator) == after


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        (b'{"product": "none-such"}', 422, "price list"),
        (b'{"registrations": ["nobody"]}', 422, "subscription.registrations"),
        (b'{"surprise": 1}', 400, "surprise"),
        (b'{"active": 5}', 400, "$.active"),
        (b"", 400, ""),
    ],
)
def test_a_change_that_does_not_fit_is_named_and_not_made(standing, change, status, sentence):
    before = subscription(standing)
    got, _, body = standing.request("POST", "/lab/subscription", change)
    assert got == status
    assert sentence in detail(body)
    assert subscription(standing) == before


def test_files_of_impossible_name_or_size_are_refused(standing):
    assert standing.request("POST", "/lab/files/Lab.csv", b"x")[0] == 422
    assert standing.request("POST", "/lab/files/lab.csv", b"")[0] == 422


# --- records ------------------------------------------------------------------------------------------


def test_a_record_is_accepted_once_and_a_duplicate_from_then_on(operator):
    one, two = cdr(), cdr()
    assert verdicts(operator, one) == ["accepted"]
    assert verdicts(operator, one, two, two) == ["duplicate", "accepted", "duplicate"]
    assert operator.event("cdr") == {"event": "cdr", "id": one.id, "verdict": "accepted", "reason": ""}


def test_the_same_id_with_other_content_is_a_conflict_and_the_first_stands(operator):
    one = cdr()
    assert verdicts(operator, one) == ["accepted"]
    assert verdicts(operator, msgspec.structs.replace(one, duration_ms=1)) == ["conflict"]
    kept = json.loads(operator.request("GET", "/lab/cdrs")[2])["records"]
    assert [record["record"]["duration_ms"] for record in kept] == [61_200]


def test_order_of_fields_and_whitespace_make_no_conflict(standing):
    one = cdr()
    assert verdicts(standing, one) == ["accepted"]
    turned = dict(reversed(msgspec.to_builtins(one).items()))
    status, answer = upload(standing, json.dumps({"records": [turned], "epoch": "e1"}, indent=4).encode())
    assert (status, json.loads(answer)["results"][0]["verdict"]) == (200, "duplicate")


def test_a_poisoned_record_is_rejected_alone(standing):
    good, poisoned = cdr(), msgspec.to_builtins(cdr())
    poisoned["duration_ms"] = -5
    body = json.dumps({"epoch": "e1", "records": [msgspec.to_builtins(good), poisoned]}).encode()
    status, answer = upload(standing, body)
    first, second = json.loads(answer)["results"]
    assert status == 200
    assert first["verdict"] == "accepted"
    assert (second["id"], second["verdict"]) == (poisoned["id"], "rejected")
    assert "$.duration_ms" in second["reason"]


@pytest.mark.parametrize("began_at", ["", "yesterday", "2026-03-15T12:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_call_without_a_time_is_rejected(standing, began_at):
    assert verdicts(standing, cdr(began_at=began_at)) == ["rejected"]


def test_reasons_hold_no_numbers(standing):
    poisoned = msgspec.to_builtins(cdr())
    poisoned["cause"] = "+4722345678"
    _, answer = upload(standing, json.dumps({"epoch": "e", "records": [poisoned]}).encode())
    assert json.loads(answer)["results"][0]["verdict"] == "rejected"
    assert b"22345678" not in answer


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"epoch": "e"}', "records"),
        (b'{"records": []}', "epoch"),
        (b'{"epoch": "", "records": [{}]}', "$.epoch"),
        (b'{"epoch": "e", "records": []}', "$.records"),
        (b'{"epoch": "e", "records": [{}]}', "$.records[0].id"),
        (b'{"epoch": "e", "records": [5]}', "$.records[0].id"),
        (b'{"epoch": "e", "records": [{"id": "short"}]}', "$.records[0].id"),
        (b'{"epoch": "e", "records": [%s]}' % b",".join([b"{}"] * (MAX_BATCH + 1)), "$.records"),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_body_that_is_no_batch_is_refused_with_the_field(standing, body, sentence):
    status, answer = upload(standing, body)
    assert status == 400
    assert sentence in detail(answer)
    assert standing.request("GET", "/v1/health")[0] == 200


def test_gzip_is_accepted(standing):
    status, answer = upload(standing, gzip.compress(batch(cdr())), Content_Encoding="gzip")
    assert (status, json.loads(answer)["results"][0]["verdict"]) == (200, "accepted")


def test_a_gzip_bomb_is_too_large_and_costs_nothing(operator):
    bomb = gzip.compress(b" " * (200 << 20), 9)
    assert len(bomb) < MAX_BODY
    status, answer = upload(operator, bomb, Content_Encoding="gzip")
    assert status == 413
    assert "unpacks to more" in detail(answer)
    status_lines = Path(f"/proc/{operator.process.pid}/status").read_text(encoding="ascii").splitlines()
    (peak,) = [line for line in status_lines if line.startswith("VmHWM")]
    assert int(peak.split()[1]) < 150_000


def test_a_large_body_is_refused_before_it_is_whole(standing):
    try:
        status, _ = upload(standing, b" " * (4 * MAX_BODY))
    except (urllib.error.URLError, ConnectionError):
        return  # the server closed while we were still sending
    assert status == 413


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [(b"no gzip", "gzip", 400), (gzip.compress(b"{}")[:-4], "gzip", 400), (gzip.compress(b"{}") * 2, "gzip", 400),
     (b"{}", "zstd", 415)],
    ids=["foreign", "cut", "twice", "zstd"],
)  # fmt: skip
def test_other_packings_are_refused(standing, body, encoding, status):
    assert upload(standing, body, Content_Encoding=encoding)[0] == status


def test_a_lost_acknowledgement_costs_nothing(operator):
    one = cdr()
    order(operator, lose_ack=1)
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        upload(operator, batch(one))
    assert verdicts(operator, one) == ["duplicate"]


def test_unavailable_for_as_long_as_ordered(operator):
    order(operator, unavailable=2, retry_after_s=7)
    status, headers, _ = operator.request("GET", "/v1/subscription")
    assert (status, headers["Retry-After"]) == (503, "7")
    assert upload(operator, batch(cdr()))[0] == 503
    assert operator.request("GET", "/v1/subscription")[0] == 200
    assert json.loads(operator.request("GET", "/lab/cdrs")[2])["records"] == []


def test_ordered_rejections(operator):
    one, two = cdr(), cdr()
    order(operator, reject_ids=[one.id])
    assert verdicts(operator, one, two) == ["rejected", "accepted"]
    order(operator)
    assert verdicts(operator, one) == ["accepted"]


def test_damaged_downloads_are_damaged_once(operator):
    info = subscription(operator).price_list
    path = f"/v1/files/{info.name}/{info.sha256}"
    order(operator, corrupt_file=1)
    damaged = operator.request("GET", path)[2]
    assert len(damaged) == info.length
    assert hashlib.sha256(damaged).hexdigest() != info.sha256
    order(operator, truncate_file=1)
    with pytest.raises(http.client.IncompleteRead):
        operator.request("GET", path)
    assert hashlib.sha256(operator.request("GET", path)[2]).hexdigest() == info.sha256


# --- usage ------------------------------------------------------------------------------------------


def usage(operator, month: str) -> Usage:
    status, _, body = operator.request("GET", f"/v1/usage?month={month}")
    assert status == 200
    return msgspec.json.decode(body, type=Usage)


def test_usage_counts_each_answered_outgoing_call_once_in_its_month(operator):
    one = cdr()
    incoming = cdr(direction=Direction.INCOMING, price=None, duration_ms=1)
    # Half an hour before midnight in UTC is the next month in Oslo.
    next_month = cdr(began_at="2026-03-31T23:30:00Z")
    verdicts(operator, one, incoming, next_month)
    verdicts(operator, one)
    for month, calls, seconds, micro in [("03", 1, 62, 1_500_000), ("04", 1, 62, 1_500_000), ("05", 0, 0, 0)]:
        told = usage(operator, f"2026-{month}")
        assert (told.calls, told.seconds, told.amount_micro) == (calls, seconds, micro)
        assert told.device is not None
        assert (told.device.calls, told.device.amount_micro) == (calls, micro), "nothing was used elsewhere"
        assert told.balance_micro is None


def test_usage_tells_this_adapter_from_others_and_what_is_left_of_prepaid_money(operator):
    operator.request("POST", "/lab/subscription", b'{"prepaid": true, "limits": {"month": "150", "premium": "0"}}')
    limits = subscription(operator).limits
    assert (limits.month, limits.premium, limits.abroad) == ("150", "0", None)
    elsewhere = b'{"elsewhere": {"calls": 2, "seconds": 60, "amount_micro": 4000000, "abroad_micro": 4000000,'
    elsewhere += b'"packs": [{"pack": "norden", "seconds": 30}]}, "paid_in": "20"}'
    assert operator.request("POST", "/lab/usage", elsewhere)[0] == 200
    verdicts(operator, cdr(number="+4681234567"))
    told = usage(operator, "2026-03")
    assert (told.calls, told.amount_micro, told.abroad_micro) == (3, 5_500_000, 5_500_000)
    assert told.device is not None
    assert (told.device.calls, told.device.abroad_micro, told.device.packs) == (1, 1_500_000, [])
    assert [(one.pack, one.seconds) for one in told.packs] == [("norden", 30)]
    assert told.balance_micro == 14_500_000


@pytest.mark.parametrize(
    "query", ["", "?month=", "?month=2026", "?month=2026-13", "?month=2026-3", "?month=2026-03-01"]
)
def test_a_month_that_is_none_is_refused(standing, query):
    status, _, body = standing.request("GET", f"/v1/usage{query}")
    assert (status, detail(body)) == (400, "month must be YYYY-MM")


def test_records_survive_a_restart(start):
    first = start()
    one = cdr()
    assert verdicts(first, one) == ["accepted"]
    first.kill()
    second = start()
    assert verdicts(second, one) == ["duplicate"]
    assert usage(second, "2026-03").calls == 1


def test_a_wrong_method_names_the_right_one(standing):
    status, headers, _ = standing.request("DELETE", "/v1/cdr")
    assert (status, headers["Allow"]) == (405, "POST")


def test_half_a_request_hinders_nobody(standing):
    host, port = standing.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as half:
        half.sendall(b"POST /v1/cdr HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert standing.request("GET", "/v1/health")[0] == 200


# --- corrections and gaps ------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_a_correction_counts_instead_of_the_record_it_corrects_whichever_comes_first(operator, late):
    own_month = f"20{30 + late}-07"
    first = cdr(began_at="1970-01-01T00:10:00Z", time_trusted=False)
    price = msgspec.structs.replace(first.price, amount_micro=2_000_000)
    second = cdr(began_at=f"{own_month}-15T12:00:00Z", corrects=first.id, price=price)
    both = [second, first] if late else [first, second]
    before = operator.request("GET", "/v1/usage?month=1970-01")[2]
    assert verdicts(operator, *both) == ["accepted", "accepted"]
    month = msgspec.json.decode(operator.request("GET", f"/v1/usage?month={own_month}")[2], type=Usage)
    assert (month.calls, month.amount_micro) == (1, 2_000_000)
    assert operator.request("GET", "/v1/usage?month=1970-01")[2] == before
    assert verdicts(operator, *both) == ["duplicate", "duplicate"]


def test_numbers_that_never_came_are_told(operator):
    def send(epoch: str, *numbers: int) -> None:
        records = [cdr() for _ in numbers]
        status, answer = upload(operator, msgspec.json.encode(CdrBatch(epoch=epoch, records=records, numbers=numbers)))
        assert status == 200, answer

    send("gap-1", 1001, 1002, 1005)
    send("gap-2", 1004, 1009)
    gaps = [gap for gap in json.loads(operator.request("GET", "/lab/gaps")[2])["gaps"] if gap["epoch"][:4] == "gap-"]
    assert gaps == [
        {"epoch": "gap-1", "first": 1003, "last": 1003},
        {"epoch": "gap-2", "first": 1006, "last": 1008},
    ]


def test_numbers_without_records_are_refused(standing):
    status, answer = upload(standing, msgspec.json.encode(CdrBatch(epoch="e1", records=[cdr()], numbers=[1, 2])))
    assert status == 400
    assert "$.numbers" in detail(answer)
