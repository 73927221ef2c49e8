"""RabbitMQ and Redis in a Docker engine, through Testcontainers.

If this process dies without removing its containers, Testcontainers' own
warden, the Ryuk container, does.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from docker.errors import DockerException
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient, get_docker_host

from services.broker import AMQP_PORT, AMQPS_PORT, RabbitMQ
from services.certificates import Certificates, make_certificates
from services.container import Container
from services.ports import free_port
from services.private_redis import DURABLE
from services.rabbitmq_conf import conf, tls_listener
from services.store import REDIS_PORT, Redis
from services.warden import Warden

RABBITMQ_IMAGE = "rabbitmq:4.1"
REDIS_IMAGE = "redis:7.4"

DEFAULT_HOST = "unix:///var/run/docker.sock"
ANSWER_SECONDS = 1
CONF = "/etc/rabbitmq/conf.d/90-actors.conf"
INSIDE = Certificates.within(Path("/etc/rabbitmq"))


def answers() -> bool:
    """Whether a Docker engine answers within 1 s, at DOCKER_HOST or where Docker's context says."""
    host = urlsplit(get_docker_host() or DEFAULT_HOST)
    # A look at the socket first, because docker-py leaves it open when nobody listens.
    if host.scheme == "unix" and not _listens(host.path):
        return False
    try:
        with closing(DockerClient(timeout=ANSWER_SECONDS).client) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@contextmanager
def docker_rabbitmq(config: Mapping[str, str], *, tls: bool) -> Iterator[RabbitMQ]:
    """A RabbitMQ in a container, which is removed at the end of the block."""
    port, tls_port = free_port(), free_port()
    container = DockerContainer(RABBITMQ_IMAGE).with_bind_ports(AMQP_PORT, port).with_bind_ports(AMQPS_PORT, tls_port)
    with Warden("rabbitmq") as warden:
        certificates = make_certificates(warden.folder / "tls") if tls else None
        if certificates:
            container.with_copy_into_container(certificates.ca, str(INSIDE.ca))
            container.with_copy_into_container(certificates.server_cert, str(INSIDE.server_cert))
            container.with_copy_into_container(certificates.server_key, str(INSIDE.server_key))
        amqps = tls_listener(str(AMQPS_PORT), INSIDE) if tls else {}
        container.with_copy_into_container(conf(amqps, config).encode(), CONF)
        with container:
            host = container.get_container_host_ip()
            yield RabbitMQ(
                f"amqp://guest:guest@{host}:{port}/",
                Container(container.get_wrapped_container()),
                tls_url=f"amqps://guest:guest@{host}:{tls_port}/",
                certificates=certificates,
            )


@contextmanager
def docker_redis() -> Iterator[Redis]:
    """A Redis in a container, which is removed at the end of the block."""
    port = free_port()
    container = DockerContainer(REDIS_IMAGE).with_bind_ports(REDIS_PORT, port)
    container.with_command(["redis-server", *DURABLE])
    with container:
        url = f"redis://{container.get_container_host_ip()}:{port}/0"
        yield Redis(url, Container(container.get_wrapped_container()))
