import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType

from services import apt
from services.broker import RabbitMQ
from services.control import Given
from services.docker_engine import docker_rabbitmq, docker_redis
from services.private_rabbitmq import private_rabbitmq, scripts
from services.private_redis import private_redis
from services.sources import Product, Source, choose, look
from services.store import Redis

RABBITMQ = Product(name="RabbitMQ", variable="ACTORS_TEST_BROKER_URL", package="rabbitmq-server")
REDIS = Product(name="Redis", variable="ACTORS_TEST_REDIS_URL", package="redis-server")

NO_LINES: Mapping[str, str] = MappingProxyType({})


@contextmanager
def rabbitmq(config: Mapping[str, str] = NO_LINES, *, tls: bool = False, private: bool = False) -> Iterator[RabbitMQ]:
    """A RabbitMQ that accepts connections, from the first source there is; gone with its data after the block.

    Args:
        config: lines for its rabbitmq.conf, such as {"consumer_timeout": "60000"}.
        tls: give it an amqps port too, with certificates made for it.
        private: not the one of ACTORS_TEST_BROKER_URL, which cannot be stopped
            or frozen; implied by *config* and *tls*, which it cannot follow.

    Raises:
        NoSource: this machine has none; the text says what to do.
        NotReady: it did not start within 60 s; with the last lines of its log.
    """
    source = _source(RABBITMQ, installed=scripts() is not None, private=private or tls or bool(config))
    with _rabbitmq_from(source, config, tls=tls) as broker:
        broker.start()
        yield broker


@contextmanager
def redis(*, private: bool = False) -> Iterator[Redis]:
    """A Redis that answers, from the first source there is; gone with its data after the block.

    Args:
        private: not the one of ACTORS_TEST_REDIS_URL, which cannot be stopped or frozen.

    Raises:
        NoSource: this machine has none; the text says what to do.
        NotReady: it did not start within 60 s; with the last lines of its log.
    """
    source = _source(REDIS, installed=shutil.which("redis-server") is not None, private=private)
    with _redis_from(source) as store:
        store.start()
        yield store


def _source(product: Product, *, installed: bool, private: bool) -> Source:
    source = choose(product, look(product, installed=installed, private=private))
    if source is Source.APT:
        apt.install(product.package)
    return source


def _rabbitmq_from(source: Source, config: Mapping[str, str], *, tls: bool) -> AbstractContextManager[RabbitMQ]:
    match source:
        case Source.GIVEN:
            return nullcontext(RabbitMQ(os.environ[RABBITMQ.variable], Given(RABBITMQ.variable)))
        case Source.DOCKER:
            return docker_rabbitmq(config, tls=tls)
        case Source.MACHINE | Source.APT:
            return private_rabbitmq(config, tls=tls)


def _redis_from(source: Source) -> AbstractContextManager[Redis]:
    match source:
        case Source.GIVEN:
            return nullcontext(Redis(os.environ[REDIS.variable], Given(REDIS.variable)))
        case Source.DOCKER:
            return docker_redis()
        case Source.MACHINE | Source.APT:
            return private_redis()
