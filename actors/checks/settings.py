"""Each setting: its value, and where that is from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from actors.assembly import broker
from actors.brokers.nodes import mask_password
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.checks.finding import Finding, error, ok
from actors.configuration import Settings, variable
from actors.engines import file_of
from actors.errors import SettingsError
from actors.urls import is_file

Source = Literal["default", "environment", "code"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it counts.

    Attributes:
        variable: its environment variable.
        value: its value in JSON's types, with passwords masked.
        source: who set it; "code" is ``configure()``.
        default: its default in JSON's types.
        meaning: what it is for.
    """

    variable: str
    value: Any
    source: Source
    default: Any
    meaning: str


def list_settings(current: Settings, environment: Settings) -> list[Setting]:
    """Return every setting.

    Args:
        current: the settings as they count.
        environment: the settings as they were before any module could call ``configure()``.
    """
    values, before = current.model_dump(mode="json"), environment.model_dump(mode="json")
    defaults = Settings.model_construct().model_dump(mode="json")

    def source(field: str) -> Source:
        if values[field] != before[field]:
            return "code"
        return "environment" if field in environment.model_fields_set else "default"

    return [
        Setting(variable(field), masked(values[field]), source(field), defaults[field], info.description or "")
        for field, info in Settings.model_fields.items()
    ]


def check_settings(current: Settings, environment: Settings) -> Iterator[Finding]:
    """Say what each setting is, and try what can be tried without connecting."""
    for setting in list_settings(current, environment):
        yield ok("settings", setting.variable, f"{text(setting.value)} ({setting.source})")
    try:
        if isinstance(broker.engine, RabbitmqEngine):
            broker.engine.options.nodes.parameters("check")
    except SettingsError as problem:
        yield error("settings", variable("broker_url"), str(problem), "mend the URL, or the files that it needs")
    if current.store_url not in current.broker_url:
        yield from _store(current.store_url)


def _store(url: str) -> Iterator[Finding]:
    if is_file(url):
        try:
            file_of(url)
        except SettingsError as problem:
            yield error("settings", variable("store_url"), str(problem), "name another file")
        return
    # Here, so that no other command waits for it.
    import redis

    try:
        redis.ConnectionPool.from_url(url)
    except ValueError as problem:
        what = f"the URL can't be used: {problem}"
        yield error("settings", variable("store_url"), what, "mend the options after its question mark")


def masked(value: Any) -> Any:
    """Return *value* with the passwords of its URLs masked."""
    if isinstance(value, str):
        return mask_password(value)
    return [masked(each) for each in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    """Return a setting's value as its environment variable would have it; a dash for none."""
    if value in (None, "", [], {}):
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
