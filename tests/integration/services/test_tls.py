import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pika
import pytest

import services


@pytest.fixture(scope="module")
def strict_broker() -> Iterator[services.RabbitMQ]:
    """An amqps port that demands a certificate of its clients."""
    with services.rabbitmq({"ssl_options.fail_if_no_peer_cert": "true"}, tls=True) as broker:
        yield broker


def test_a_client_with_its_certificate_is_served(strict_broker: services.RabbitMQ) -> None:
    context = ssl.create_default_context(cafile=strict_broker.ca_file)
    context.load_cert_chain(strict_broker.client_cert, strict_broker.client_key)
    with connect(strict_broker.tls_url, context) as connection:
        assert connection.is_open


def test_a_client_without_a_certificate_is_refused_where_the_configuration_says_so(
    strict_broker: services.RabbitMQ,
) -> None:
    context = ssl.create_default_context(cafile=strict_broker.ca_file)
    # TLS 1.2 refuses within the handshake, 1.3 only at the first read.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(strict_broker.tls_url, context)


def test_a_client_that_trusts_other_authorities_refuses_the_server(strict_broker: services.RabbitMQ) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(strict_broker.tls_url, ssl.create_default_context())


def test_a_server_without_tls_says_how_to_get_one(rabbitmq_server: services.RabbitMQ) -> None:
    with pytest.raises(services.ServiceError, match="tls=True"):
        _ = rabbitmq_server.tls_url


def connect(url: str, context: ssl.SSLContext) -> pika.BlockingConnection:
    parameters = pika.URLParameters(url)
    parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    return pika.BlockingConnection(parameters)


def handshake(url: str, context: ssl.SSLContext) -> None:
    address = urlsplit(url)
    with (
        socket.create_connection((address.hostname, address.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname),
    ):
        pass
