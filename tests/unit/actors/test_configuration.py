from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from actors.configuration import Settings, read, variable
from actors.errors import ActorsError, SettingsError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ACTORS_"):
            monkeypatch.delenv(name)


def test_the_defaults_are_those_of_a_developers_machine() -> None:
    settings = read({})

    assert settings.broker_url == ("sqlite:///actors.db",)
    assert settings.store_url == "sqlite:///actors.db"
    assert settings.env == "development"
    assert settings.queue_type == "quorum"
    assert settings.max_message_bytes == 131_072
    assert settings.store_timeout_ms == 1_000
    assert (settings.idempotency_lease_ms, settings.idempotency_ttl_ms) == (30_000, 86_400_000)
    assert not settings.model_fields_set


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("name", "value", "read_as"),
    [
        ("ACTORS_ENV", "staging", "staging"),
        ("ACTORS_BROKER_URL", "amqps://user:secret@h/shop", ("amqps://user:secret@h/shop",)),
        (
            "ACTORS_BROKER_URL",
            "amqp://a@h1/, amqp://b@h2:5673/;amqps://h3/",
            ("amqp://a@h1/", "amqp://b@h2:5673/", "amqps://h3/"),
        ),
        ("ACTORS_STORE_URL", "rediss://:secret@h:6380/1", "rediss://:secret@h:6380/1"),
        ("ACTORS_MODULES", "shop.tasks, shop.mail", ("shop.tasks", "shop.mail")),
        ("ACTORS_QUEUE_ROUTES", '{"report_*": "slow"}', {"report_*": "slow"}),
        ("ACTORS_QUEUE_TYPE", "classic", "classic"),
        ("ACTORS_HEALTH_ADDRESS", ":8081", ":8081"),
        ("ACTORS_HEALTH_ADDRESS", "", ""),
        ("ACTORS_LOG_CONTEXT", "request_id, tenant", ("request_id", "tenant")),
        ("ACTORS_LOG_ARGUMENTS", "true", True),
        ("ACTORS_LOG_REDACT", "shop.logs:redact", "shop.logs:redact"),
        ("ACTORS_PREFETCH", "1", 1),
        ("actors_prefetch", "1", 1),
        ("ACTORS_STORE_TIMEOUT_MS", "250", 250),
        ("ACTORS_IDEMPOTENCY_LEASE_MS", "100", 100),
        ("ACTORS_IDEMPOTENCY_TTL_MS", "30000", 30_000),
    ],
)
def test_a_setting_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read_as: object
) -> None:
    monkeypatch.setenv(name, value)

    assert getattr(read({}), name.lower().removeprefix("actors_")) == read_as


def test_classic_queues_may_have_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_QUEUE_TYPE", "classic")
    monkeypatch.setenv("ACTORS_QUEUE_MAX_PRIORITY", "10")

    assert read({}).queue_max_priority == 10


def test_a_lease_that_outlasts_the_default_ttl_is_refused_with_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_IDEMPOTENCY_LEASE_MS", "86400001")
    problem = (
        "86400000: a key must be remembered at least as long as its lease; ACTORS_IDEMPOTENCY_LEASE_MS is 86400001"
    )

    with pytest.raises(SettingsError, match=f"^ACTORS_IDEMPOTENCY_TTL_MS: {problem}$"):
        read({})


def test_the_queue_prefix_keeps_environments_apart_in_the_store_too() -> None:
    assert read({}).store_prefix == "actors:"
    assert read({"queue_prefix": "staging."}).store_prefix == "staging.actors:"


@pytest.mark.parametrize(
    ("broker", "store"),
    [
        ("sqlite:////var/lib/jobs.db", "sqlite:////var/lib/jobs.db"),
        ("amqp://h/", "redis://127.0.0.1:6379/0"),
        ("amqps://h1/,amqps://h2/", "redis://127.0.0.1:6379/0"),
    ],
)
def test_the_store_is_by_default_the_one_that_goes_with_the_broker(broker: str, store: str) -> None:
    assert read({"broker_url": broker}).store_url == store


def test_a_file_may_have_its_keys_in_redis_and_rabbitmq_may_not_have_them_in_a_file() -> None:
    assert read({"broker_url": "sqlite:///a", "store_url": "redis://h"}).store_url == "redis://h"
    with pytest.raises(SettingsError, match="ACTORS_STORE_URL: 'sqlite:///a' is a file, which workers on other"):
        read({"broker_url": "amqp://h/", "store_url": "sqlite:///a"})


def test_a_broker_is_embedded_where_it_is_a_file() -> None:
    assert read({"broker_url": "sqlite:///actors.db"}).is_embedded
    assert not read({"broker_url": "amqp://h/"}).is_embedded


def test_an_override_takes_the_place_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_ENV", "staging")
    monkeypatch.setenv("ACTORS_PREFETCH", "7")

    settings = read({"env": "production", "broker_url": ["amqp://h1/", "amqp://h2/"], "queue_routes": {"a": "b"}})

    assert (settings.env, settings.prefetch) == ("production", 7)
    assert settings.broker_url == ("amqp://h1/", "amqp://h2/")
    assert settings.queue_routes == {"a": "b"}


USE_AMQP = "use amqp://USER:PASSWORD@HOST:5672/VHOST or amqps://…, or sqlite:///PATH"
USE_REDIS = "use redis://HOST:6379/0 or rediss://…, or sqlite:///PATH"
SLASHES = (
    "names a host, and a file is on this machine; use three slashes before a relative path, four before an absolute "
    "one: sqlite:///jobs.db, sqlite:////var/lib/shop/jobs.db"
)
PORT = "has no port from 0 to 65535; use digits, and write a / in a password as %2F"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ACTORS_BROKER_URL", "ampq://u:secret@h/", f"'ampq://u:***@h/' has no known scheme; {USE_AMQP}"),
        ("ACTORS_BROKER_URL", "u:secret@h:5672", f"'u:***@h:5672' has no known scheme; {USE_AMQP}"),
        ("ACTORS_BROKER_URL", "amqp://h1/,http://b:secret@h2/", f"'http://b:***@h2/' has no known scheme; {USE_AMQP}"),
        ("ACTORS_BROKER_URL", "amqp:///", f"'amqp:///' names no host; {USE_AMQP}"),
        ("ACTORS_BROKER_URL", "amqp://u:secret@h:port/", f"'amqp://u:***@h:port/' {PORT}"),
        ("ACTORS_BROKER_URL", "amqp://u:sec/ret@h/", f"'amqp://u:***@h/' {PORT}"),
        ("ACTORS_BROKER_URL", "", "'': names no node; unset it for the default, or give a URL"),
        ("ACTORS_BROKER_URL", "sqlite://jobs.db", f"'sqlite://jobs.db' {SLASHES}"),
        ("ACTORS_BROKER_URL", "sqlite:///", "'sqlite:///' names no file; use sqlite:///PATH"),
        ("ACTORS_BROKER_URL", "sqlite:///a?b=c", "'sqlite:///a?b=c' has options, and a file has none; use sqlite:///PATH"),
        (
            "ACTORS_BROKER_URL",
            "sqlite:///a,amqp://:secret@h",
            "'sqlite:///a,amqp://:***@h': several places, of which one is a file; "
            "give one file, or the nodes of one RabbitMQ",
        ),
        ("ACTORS_STORE_URL", "memcached://:secret@h", f"'memcached://:***@h' has no known scheme; {USE_REDIS}"),
        ("ACTORS_STORE_URL", "redis://:secret@h:65536", f"'redis://:***@h:65536' {PORT}"),
        ("ACTORS_BROKER_CA_FILE", "/no/such.pem", "'/no/such.pem': path does not point to a file"),
        ("ACTORS_BROKER_HEARTBEAT_S", "0", "'0': input should be greater than or equal to 1"),
        ("ACTORS_QUEUE_PREFIX", "a b", "'a b': string should match pattern '^[A-Za-z0-9_.-]*$'"),
        ("ACTORS_QUEUE_TYPE", "Quorum", "'Quorum': input should be 'quorum' or 'classic'"),
        ("ACTORS_QUEUE_MAX_PRIORITY", "256", "'256': input should be less than or equal to 255"),
        (
            "ACTORS_QUEUE_MAX_PRIORITY",
            "5",
            "'5': only classic queues have such priorities; set ACTORS_QUEUE_TYPE=classic, or unset it",
        ),
        (
            "ACTORS_QUEUE_ROUTES",
            '{"report_*": slow}',
            "'{\"report_*\": slow}': not JSON (Expecting value: line 1 column 14 (char 13)); "
            'write an object such as {"report_*": "slow"}',
        ),
        ("ACTORS_QUEUE_ROUTES", '["slow"]', "['slow']: input should be a valid dictionary"),
        ("ACTORS_QUEUE_ROUTES", '{"a": 1}', "1: input should be a valid string"),
        ("ACTORS_QUEUE_ROUTES", '{"a": "b c"}', "'b c': string should match pattern '^[A-Za-z_][A-Za-z0-9._-]*$'"),
        (
            "ACTORS_HEALTH_ADDRESS",
            "8081",
            "'8081' is no HOST:PORT; write one such as :8081, 127.0.0.1:8081 or [::]:8081",
        ),
        ("ACTORS_PREFETCH", "many", "'many': input should be a valid integer, unable to parse string as an integer"),
        ("ACTORS_PUBLISH_TIMEOUT_MS", "-1", "'-1': input should be greater than 0"),
        ("ACTORS_MAX_MESSAGE_BYTES", "255", "'255': input should be greater than or equal to 256"),
        ("ACTORS_STORE_TIMEOUT_MS", "0", "'0': input should be greater than 0"),
        ("ACTORS_IDEMPOTENCY_LEASE_MS", "99", "'99': input should be greater than or equal to 100"),
        (
            "ACTORS_IDEMPOTENCY_TTL_MS",
            "316224000001",
            "'316224000001': input should be less than or equal to 316224000000",
        ),
        (
            "ACTORS_IDEMPOTENCY_TTL_MS",
            "29999",
            "'29999': a key must be remembered at least as long as its lease; ACTORS_IDEMPOTENCY_LEASE_MS is 30000",
        ),
    ],
)  # fmt: skip
def test_a_malformed_setting_is_refused_by_name_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as error:
        read({})

    assert str(error.value) == f"{name}: {problem}"
    assert isinstance(error.value, ActorsError)
    assert isinstance(error.value, ValueError)


def test_all_malformed_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_QUEUE_TYPE", "lazy")
    monkeypatch.setenv("ACTORS_PREFETCH", "0")

    with pytest.raises(SettingsError, match=r"^ACTORS_QUEUE_TYPE: 'lazy': .*; ACTORS_PREFETCH: '0': "):
        read({})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ACTORS_BROKR_URL", ", did you mean 'ACTORS_BROKER_URL'?"),
        ("ACTORS_QUEUE_ROUTE", ", did you mean 'ACTORS_QUEUE_ROUTES'?"),
        ("actors_prefech", ", did you mean 'ACTORS_PREFETCH'?"),
        ("ACTORS_FREE_SHIPPING_OVER", ""),
    ],
)
def test_an_unknown_variable_is_refused_with_the_closest_name(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "x")

    with pytest.raises(SettingsError) as error:
        read({})

    assert str(error.value) == f"unknown setting {name}{hint}"


def test_an_unknown_override_is_refused_with_the_closest_name() -> None:
    with pytest.raises(SettingsError, match=r"^unknown setting 'quue_type', did you mean 'queue_type'\?$"):
        read({"quue_type": "classic"})


def test_a_malformed_override_is_named_as_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"^ACTORS_PREFETCH: 0: input should be greater than or equal to 1$"):
        read({"prefetch": 0})


def test_variables_of_the_test_suite_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_TEST_ANYTHING", "x")

    assert not read({}).model_fields_set


def test_a_file_that_exists_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.touch()
    monkeypatch.setenv("ACTORS_BROKER_CA_FILE", str(certificates))

    assert read({}).broker_ca_file == certificates


def test_settings_can_not_be_changed() -> None:
    settings: Any = read({})

    with pytest.raises(ValueError, match="frozen"):
        settings.env = "production"


def test_the_variable_of_a_setting_is_its_name_in_capitals() -> None:
    assert variable("broker_url") == "ACTORS_BROKER_URL"
