"""All settings, and the only place that reads the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from actors.brokers.buried import LONGEST_RETENTION_MS
from actors.brokers.nodes import mask_password
from actors.errors import SettingsError
from actors.health.address import split
from actors.urls import (
    DEFAULT_FILE,
    DEFAULT_REDIS,
    broker_url,
    is_file,
    one_broker,
    store_url,
)
from middleware.log_context import TAKEN
from middleware.options import YEAR_MS
from middleware.suggestion import did_you_mean

PREFIX = "ACTORS_"
# Read by the test suite and by the pytest plugin, not by an application.
TEST_PREFIX = "ACTORS_TEST_"

QUEUE_NAME = r"^[A-Za-z_][A-Za-z0-9._-]*$"
# The place of a function.
REDACTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# A message is no log: so many variables travel with it, with names of so many characters.
MOST_CONTEXT_NAMES = 10
LONGEST_CONTEXT_NAME = 50


def _split(value: object) -> object:
    """Split what the environment gives as one string at commas, semicolons and spaces."""
    if isinstance(value, str):
        return [part for part in value.replace(",", " ").replace(";", " ").split() if part]
    return value


def _splits(address: str) -> str:
    if address:
        split(address)
    return address


def _names(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if not name.isidentifier() or len(name) > LONGEST_CONTEXT_NAME:
            raise ValueError(f"{name!r} is no name of a variable of at most {LONGEST_CONTEXT_NAME} characters")
        if name in TAKEN:
            raise ValueError(f"log lines have a field {name!r} of their own; bind it under another name")
    if len(value) > MOST_CONTEXT_NAMES:
        raise ValueError(f"{len(value)} names; at most {MOST_CONTEXT_NAMES} travel with each message")
    return value


def _is_redaction(value: object) -> object:
    if callable(value) or value == "" or (isinstance(value, str) and REDACTION.fullmatch(value)):
        return value
    raise ValueError("not the place of a function; write module:function, such as shop.logs:redact")


def _place(value: object) -> str:
    return (
        value
        if isinstance(value, str)
        else f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', value)}"
    )


def _parse_routes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f'not JSON ({error}); write an object such as {{"report_*": "slow"}}') from None


BrokerUrl = Annotated[str, AfterValidator(broker_url)]
QueueName = Annotated[str, Field(pattern=QUEUE_NAME)]
Milliseconds = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """Every setting, its default, and what it is for. Each is read from ``ACTORS_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    broker_url: Annotated[tuple[BrokerUrl, ...], NoDecode, BeforeValidator(_split), AfterValidator(one_broker)] = Field(
        (DEFAULT_FILE,),
        description="a file on this machine, sqlite:///PATH; or RabbitMQ, nodes of a cluster with commas between",
    )
    broker_ca_file: FilePath | None = Field(None, description="amqps: certificates to trust; default the system's")
    broker_cert_file: FilePath | None = Field(None, description="amqps: this client's certificate")
    broker_key_file: FilePath | None = Field(None, description="amqps: the key of that certificate")
    broker_heartbeat_s: int = Field(30, ge=1, description="seconds of silence that RabbitMQ and we agree to bear")
    store_url: str = Field(
        "",
        description="what must be remembered: Redis, Valkey, or a file; unset: the broker's file, "
        f"or beside RabbitMQ {DEFAULT_REDIS}",
    )
    store_timeout_ms: Milliseconds = Field(1_000, description="how long one call to the store may take")

    modules: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="modules of actors: workers import them too, commands if they are given none; commas between"
    )
    env: str = Field(
        "development", description="what this deployment is called, in logs; production insists on a broker_url"
    )
    log_format: Literal["text", "json"] = Field("text", description="what workers write: text, or a JSON object a line")
    log_context: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_names)] = Field(
        (), description="structlog's context variables that travel with messages to their log lines; commas between"
    )
    log_arguments: bool = Field(False, description="whether the line of an attempt has the message's arguments")
    log_redact: Annotated[Any, NoDecode, AfterValidator(_is_redaction), PlainSerializer(_place)] = Field(
        "", description="what has the last word on the fields of those lines: module:function"
    )
    app_version: str = Field("", description="what this build of the application is called, in dead letters")

    queue_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="put before every queue's name, and every key's in the store, to keep environments apart",
    )
    queue_type: Literal["quorum", "classic"] = Field("quorum", description="what new queues are: quorum or classic")
    queue_max_priority: int | None = Field(
        None, ge=1, le=255, description="classic queues: the highest broker_priority of a message"
    )
    queue_routes: Annotated[Mapping[str, QueueName], NoDecode, BeforeValidator(_parse_routes)] = Field(
        default_factory=dict,
        description='JSON: actor names, or patterns with *, to queues, such as {"report_*": "slow"}',
    )
    prefetch: int = Field(
        100,
        ge=1,
        le=65_535,
        description="messages that a worker process takes ahead, a queue; 400 of a file if not set",
    )

    recycle_after_messages: int | None = Field(
        None, ge=1, description="after how many attempts, give or take a tenth, a worker process is replaced"
    )
    recycle_above_mib: int | None = Field(
        None, ge=1, description="above how much resident memory, in MiB, a worker process is replaced"
    )

    publish_timeout_ms: Milliseconds = Field(10_000, description="how long one send may take in all")
    publish_attempts: int = Field(5, ge=1, description="how often a send is tried within that time")
    publish_window: int = Field(500, ge=1, description="messages published and not yet confirmed, a process")
    max_message_bytes: int = Field(131_072, ge=256, description="a larger message is refused at send")

    max_retries: int = Field(5, ge=0, description="how often a failed message is tried again")
    min_backoff_ms: Annotated[int, Field(gt=0, le=YEAR_MS)] = Field(
        15_000, description="the shortest pause before a retry; pauses double from there"
    )
    # After the shortest, against which it is held.
    max_backoff_ms: Annotated[int, Field(gt=0, le=YEAR_MS)] = Field(
        604_800_000, description="the longest pause before a retry"
    )

    dead_letter_retention_ms: Annotated[int, Field(gt=0, le=LONGEST_RETENTION_MS)] | None = Field(
        None, description="after what time a dead letter is dropped; unset for never"
    )
    generation: int = Field(
        0, ge=0, description="schedulers: the number of this build; one below what has led already never leads"
    )

    health_address: Annotated[str, AfterValidator(_splits)] = Field(
        "", description="where probes are answered: HOST:PORT, or :PORT for all of this machine's; unset for nowhere"
    )
    stuck_after_s: int = Field(
        60, ge=5, description="how long a worker may say nothing of itself before /live calls it stuck"
    )

    runtime_dir: Path | None = Field(
        None, description="where the processes of a machine leave what they tell of themselves; unset: a temporary one"
    )

    idempotency_lease_ms: int = Field(30_000, ge=100, description="how long a silent worker keeps the keys it holds")
    # After the lease, against which it is held.
    idempotency_ttl_ms: int = Field(86_400_000, gt=0, le=10 * YEAR_MS, description="how long a key is remembered")

    @property
    def is_embedded(self) -> bool:
        """Whether messages are kept in a file on this machine."""
        return is_file(self.broker_url[0])

    @property
    def store_prefix(self) -> str:
        """What the name of everything in the store starts with."""
        return f"{self.queue_prefix}actors:"

    @field_validator("store_url")
    @classmethod
    def _fits_the_broker(cls, value: str, info: ValidationInfo) -> str:
        return store_url(value, info.data.get("broker_url", ()))

    @field_validator("queue_max_priority")
    @classmethod
    def _needs_classic_queues(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("queue_type") != "classic":
            raise ValueError("only classic queues have such priorities; set ACTORS_QUEUE_TYPE=classic, or unset it")
        return value

    @field_validator("max_backoff_ms")
    @classmethod
    def _not_below_the_shortest(cls, value: int, info: ValidationInfo) -> int:
        shortest = info.data.get("min_backoff_ms", 0)
        if value < shortest:
            raise ValueError(f"it is shorter than {variable('min_backoff_ms')}, which is {shortest}")
        return value

    @field_validator("idempotency_ttl_ms")
    @classmethod
    def _outlasts_the_lease(cls, value: int, info: ValidationInfo) -> int:
        lease = info.data.get("idempotency_lease_ms", 0)
        if value < lease:
            raise ValueError(
                f"a key must be remembered at least as long as its lease; {variable('idempotency_lease_ms')} is {lease}"
            )
        return value


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + field.upper()


def no_default_broker() -> str | None:
    """Return why this process must not use the default broker, or None; the pytest plugin says so."""
    return os.environ.get(f"{TEST_PREFIX}NO_DEFAULT_BROKER")


@dataclass(frozen=True, slots=True)
class Manager:
    """What has started this process, and wants to know how it is: systemd, with ``Type=notify``.

    Attributes:
        address: where to tell it.
        is_watching: it restarts what does not say that it lives.
    """

    address: str
    is_watching: bool


def service_manager() -> Manager | None:
    """Return who wants to know how this process is, or None; see sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    return Manager(address, "WATCHDOG_USEC" in os.environ) if address else None


def read(overrides: Mapping[str, Any]) -> Settings:
    """Return the settings of the environment, with *overrides* in their place where given.

    Raises:
        SettingsError: one is unknown or malformed; the text names it and says what is allowed.
    """
    known = [variable(field) for field in Settings.model_fields]
    for name in os.environ:
        # Any case, as pydantic reads them.
        upper = name.upper()
        if upper.startswith(PREFIX) and not upper.startswith(TEST_PREFIX) and upper not in known:
            raise SettingsError(f"unknown setting {name}{did_you_mean(upper, known, prefix=PREFIX)}")
    for field in overrides:
        if field not in Settings.model_fields:
            raise SettingsError(f"unknown setting {field!r}{did_you_mean(field, Settings.model_fields)}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = {each["loc"][:1]: _explain(each) for each in reversed(error.errors())}
        raise SettingsError("; ".join(reversed(first.values()))) from None


def _explain(error: Mapping[str, Any]) -> str:
    field = str(error["loc"][0]) if error["loc"] else ""
    problem = str(error["msg"]).removeprefix("Value error, ")
    given = mask_password(repr(error["input"]))
    shown = "" if given in problem else f"{given}: "
    return f"{variable(field)}: {shown}{problem[:1].lower()}{problem[1:]}"
