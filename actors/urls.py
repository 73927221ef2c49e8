"""The URLs of settings: where messages are kept, and what must be remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from actors.brokers.nodes import mask_password

AMQP_SCHEMES, REDIS_SCHEMES, SQLITE = ("amqp", "amqps"), ("redis", "rediss"), "sqlite"

AMQP_EXAMPLE = "amqp://USER:PASSWORD@HOST:5672/VHOST or amqps://…"
REDIS_EXAMPLE = "redis://HOST:6379/0 or rediss://…"
SQLITE_EXAMPLE = "sqlite:///PATH"

DEFAULT_FILE = "sqlite:///actors.db"
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"


def is_file(url: str) -> bool:
    """Return whether *url* is that of a file."""
    return urlsplit(url).scheme == SQLITE


def path_of(url: str) -> str:
    """Return the path of the file that *url* names: after three slashes it is relative, after four absolute."""
    return unquote(urlsplit(url).path.removeprefix("/"))


def broker_url(url: str) -> str:
    """Return *url*.

    Raises:
        ValueError: it is neither a file's nor RabbitMQ's.
    """
    _check(url, AMQP_SCHEMES, f"{AMQP_EXAMPLE}, or {SQLITE_EXAMPLE}")
    return url


def one_broker(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return *urls*.

    Raises:
        ValueError: they are neither one file, nor nodes of one RabbitMQ.
    """
    if not urls:
        raise ValueError("names no node; unset it for the default, or give a URL")
    if len(urls) > 1 and any(map(is_file, urls)):
        raise ValueError("several places, of which one is a file; give one file, or the nodes of one RabbitMQ")
    return urls


def store_url(url: str, brokers: Sequence[str]) -> str:
    """Return *url*, or where it is empty what goes with the broker at *brokers*.

    Raises:
        ValueError: it is no store that can be used beside that broker.
    """
    if not url:
        return brokers[0] if brokers and is_file(brokers[0]) else DEFAULT_REDIS
    _check(url, REDIS_SCHEMES, f"{REDIS_EXAMPLE}, or {SQLITE_EXAMPLE}")
    if is_file(url) and brokers and not is_file(brokers[0]):
        raise ValueError(
            f"{url!r} is a file, which workers on other machines would not see; with RabbitMQ use {REDIS_EXAMPLE}"
        )
    return url


def _check(url: str, schemes: tuple[str, ...], example: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == SQLITE:
        _check_file(url)
        return
    if parts.scheme not in schemes:
        raise ValueError(f"{mask_password(url)!r} has no known scheme; use {example}")
    if not parts.hostname:
        raise ValueError(f"{mask_password(url)!r} names no host; use {example}")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(
            f"{mask_password(url)!r} has no port from 0 to 65535; use digits, and write a / in a password as %2F"
        ) from None


def _check_file(url: str) -> None:
    parts = urlsplit(url)
    if parts.netloc:
        raise ValueError(
            f"{mask_password(url)!r} names a host, and a file is on this machine; use three slashes before a relative "
            "path, four before an absolute one: sqlite:///jobs.db, sqlite:////var/lib/shop/jobs.db"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has options, and a file has none; use {SQLITE_EXAMPLE}")
    if not path_of(url):
        raise ValueError(f"{url!r} names no file; use {SQLITE_EXAMPLE}")
