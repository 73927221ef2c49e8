from pathlib import Path

import dramatiq
import pytest

import services
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from actors.errors import EnqueueError, SettingsError


def send(nodes: Nodes, prefix: str) -> int:
    options = RabbitmqOptions(nodes, Topology(prefix=prefix), publish_timeout_s=2.0)
    broker = RabbitmqBroker(lambda: options, middleware=[])
    try:
        broker.enqueue(dramatiq.Message("default", "job", (), {}, {}))
        return broker.get_queue_message_counts("default")[0]
    finally:
        broker.close()


def test_amqps_needs_the_authority_and_the_client_certificate(prefix: str) -> None:
    with services.rabbitmq({"ssl_options.fail_if_no_peer_cert": "true"}, tls=True) as server:
        trusted = Nodes(
            [server.tls_url], ca_file=server.ca_file, cert_file=server.client_cert, key_file=server.client_key
        )
        assert send(trusted, prefix) == 1
        with pytest.raises(EnqueueError, match="certificate verify failed"):
            send(Nodes([server.tls_url]), prefix)
        with pytest.raises(EnqueueError):
            send(Nodes([server.tls_url], ca_file=server.ca_file), prefix)
        with pytest.raises(SettingsError, match="ACTORS_BROKER_CA_FILE"):
            send(Nodes([server.tls_url], ca_file=Path("absent.pem")), prefix)
