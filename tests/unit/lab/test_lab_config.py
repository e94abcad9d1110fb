"""The lab's configuration: a generated one works, and each mistake is named by its field."""

from __future__ import annotations

import msgspec
import pytest

from agent.lab.operator.config import LabConfigError, LabUser, check, lab_config, load, save
from agent.lab.operator.directory import Directory


@pytest.fixture
def config(tmp_path):
    return lab_config(tmp_path, product="lab", lines=2)


def test_a_generated_configuration_survives_the_file_and_is_for_its_owner_only(config, tmp_path):
    path = tmp_path / "lab.json"
    save(config, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == config


def test_toml_works_too_and_paths_are_relative_to_the_file(config, tmp_path):
    relative = msgspec.structs.replace(config, ledger="here.sqlite", price_list="list.csv")
    path = tmp_path / "lab.toml"
    pytest.importorskip("tomlkit")
    import tomlkit

    path.write_text(tomlkit.dumps(msgspec.to_builtins(relative)))
    loaded = load(path)
    assert (loaded.ledger, loaded.price_list) == (str(tmp_path / "here.sqlite"), str(tmp_path / "list.csv"))


def test_secrets_differ_each_time_and_never_show(config, tmp_path):
    other = lab_config(tmp_path, product="lab")
    assert other.device.secret != config.device.secret
    for secret in (config.device.secret, *(user.password for user in config.users)):
        assert secret not in repr(config)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"host": "0.0.0.0"}, "host: 0.0.0.0 is not a loopback"),
        ({"host": "192.168.1.2"}, "not a loopback"),
        ({"host": "localhost"}, "not an IPv4 address"),
        ({"emergency_user": "nobody"}, "emergency_user: there is no user nobody"),
        ({"routes": {"1881": "nobody"}}, "routes: there is no user nobody"),
        ({"routes": {"112": "kari"}}, "routes: 112 is an emergency number"),
        ({"routes": {"22 34 56 78": "ola"}}, "routes: a number belongs to both kari and ola"),
    ],
)
def test_mistakes_are_named(config, change, sentence):
    with pytest.raises(LabConfigError, match=sentence):
        check(msgspec.structs.replace(config, **change))


def test_two_users_of_one_name(config):
    twice = [*config.users, LabUser(user="kari", password="something else")]
    with pytest.raises(LabConfigError, match="users: every user"):
        check(msgspec.structs.replace(config, users=twice))


@pytest.mark.parametrize("field", ["registrations", "numbers", "lines"])
def test_a_subscription_names_only_what_exists(config, field):
    plan = config.subscription
    if field == "registrations":
        broken = msgspec.structs.replace(plan, registrations=["nobody"])
    else:
        broken = msgspec.structs.replace(
            plan, **{field: [msgspec.structs.replace(getattr(plan, field)[0], registration="kari")]}
        )
    with pytest.raises(LabConfigError, match=rf"subscription\.{field}"):
        check(msgspec.structs.replace(config, subscription=broken))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "truncated"), ('{"device": 5}', r"\$\.device"), ("{}", "device"), ('{"surprise": 1}', "surprise")],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(tmp_path, text, sentence):
    path = tmp_path / "lab.json"
    path.write_text(text)
    with pytest.raises(LabConfigError, match=sentence):
        load(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(LabConfigError, match="cannot read"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("dialled", "user"),
    [
        ("22345678", "kari"),
        ("+4722345678", "kari"),
        ("004722345678", "kari"),
        ("4722345678", "kari"),
        ("1881", "kari"),
        ("0046812345600", "ola"),
        ("112", "nodsentral"),
        ("1412", "nodsentral"),
        ("22345679", None),
        ("", None),
        ("kari", None),
    ],
)
def test_where_numbers_lead(config, dialled, user):
    found = Directory(config).destination(dialled).user
    assert (None if found is None else found.user) == user


def test_the_shown_number_is_always_ones_own(config):
    directory = Directory(config)
    adapter = directory.user("adapter")
    assert directory.asserted(adapter, "21000002") == "+4721000002"
    assert directory.asserted(adapter, "22345678") == "+4721000001"
    assert directory.asserted(directory.user("nodsentral"), "anything") == "nodsentral"
