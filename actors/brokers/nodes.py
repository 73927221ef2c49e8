"""Where RabbitMQ is: URLs become pika's connection parameters."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pika

from actors.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of one RabbitMQ cluster, and how to speak to them.

    Attributes:
        urls: ``amqp://`` or ``amqps://`` URLs, one a node; options in a URL's query win over those here.
        heartbeat_s: seconds of silence that are agreed with RabbitMQ; a silent peer is given up soon after.
        connect_timeout_s: seconds that one node may take to answer before the next is tried.
        ca_file: certificates to trust on ``amqps://``; the system's when None.
        cert_file: this client's certificate, with *key_file*, where RabbitMQ asks for one.
    """

    urls: Sequence[str]
    heartbeat_s: int = 30
    connect_timeout_s: float = 5.0
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def parameters(self, role: str) -> list[pika.ConnectionParameters]:
        """Return pika's parameters, one a node, for a connection that shows as *role* in RabbitMQ's own tools."""
        return [self._parameters(url, role) for url in self.urls]

    def _parameters(self, url: str, role: str) -> pika.ConnectionParameters:
        try:
            parameters = pika.URLParameters(url)
        except ValueError as error:
            raise SettingsError(f"ACTORS_BROKER_URL: {mask_password(url)!r}: {error}") from None
        given = parse_qs(urlsplit(url).query)
        if "heartbeat" not in given:
            parameters.heartbeat = self.heartbeat_s
        if "socket_timeout" not in given:
            parameters.socket_timeout = self.connect_timeout_s
        if "stack_timeout" not in given:
            parameters.stack_timeout = 2 * self.connect_timeout_s
        if "ssl_options" not in given and urlsplit(url).scheme == "amqps":
            parameters.ssl_options = pika.SSLOptions(self._tls(), parameters.host)
        # Reconnecting, with its backoff, is the session's: pika tries each node once.
        parameters.connection_attempts = 1
        parameters.client_properties = {"connection_name": f"dramatiq-once {role}"}
        return parameters

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:
            raise SettingsError(
                "ACTORS_BROKER_CA_FILE, ACTORS_BROKER_CERT_FILE or ACTORS_BROKER_KEY_FILE can't be used "
                f"({self.ca_file}, {self.cert_file}, {self.key_file}): {error}"
            ) from None
        return context

    def __str__(self) -> str:
        return ", ".join(mask_password(url) for url in self.urls)


def mask_password(url: str) -> str:
    """Return *url*, or a text with URLs in quotes, with passwords replaced by ``***``.

    It is for error messages, so it also knows those of malformed URLs: without a scheme, or with a slash or an at sign
    in the password.
    """
    return re.sub(r"((?:^|://|(?<=['\" ]))[^:/@\s'\"]*):(?!//)[^\s'\"]*@", r"\1:***@", url)
