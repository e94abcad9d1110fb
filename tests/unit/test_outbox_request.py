"""What a technician asks of the outbox reaches the agent whole, once, and is never more than a list of ids."""

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import outbox_request
from agent.outbox_request import NAME, RequestError, RetryRequest, ask, done, read


def ids(*numbers):
    return [str(uuid.UUID(int=number)) for number in numbers]


def test_nothing_is_asked_until_somebody_asks(tmp_path):
    assert read(tmp_path) is None


def test_what_is_asked_stays_until_it_is_done(tmp_path):
    ask(tmp_path, ids(1))
    assert read(tmp_path) == read(tmp_path) == RetryRequest(ids=ids(1))
    done(tmp_path)
    assert read(tmp_path) is None
    done(tmp_path)


def test_what_is_asked_twice_adds_up(tmp_path):
    ask(tmp_path, ids(2))
    ask(tmp_path, ids(1, 2))
    assert read(tmp_path) == RetryRequest(ids=ids(1, 2))
    ask(tmp_path, None)
    ask(tmp_path, ids(3))
    assert read(tmp_path) == RetryRequest()


def test_more_than_a_request_holds_means_all(tmp_path):
    ask(tmp_path, ids(*range(outbox_request.MAX_IDS + 1)))
    assert read(tmp_path) == RetryRequest()


def test_the_request_is_for_its_owner_alone(tmp_path):
    ask(tmp_path, None)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RequestError, match="cannot be written"):
        ask(tmp_path / "absent", None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=200) | st.just(b"[" * 70_000) | st.just(b'{"ids":["x"]}') | st.just(b'{"ids":null,"more":1}'))
def test_bytes_that_are_no_request_are_refused(tmp_path, body):
    (tmp_path / NAME).write_bytes(body)
    try:
        found = read(tmp_path)
    except RequestError:
        ask(tmp_path, ids(1))
        found = read(tmp_path)
        assert found == RetryRequest(ids=ids(1))
    assert isinstance(found, RetryRequest)
