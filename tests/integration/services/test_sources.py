import pytest
import redis

import services
from services.sources import Facts, Product, Source, choose

PRODUCT = Product(name="Rabbit", variable="RABBIT_URL", package="rabbit-server")
NOTHING = Facts(given=False, docker=False, installed=False, apt=False)


@pytest.mark.parametrize(
    ("facts", "source"),
    [
        (Facts(given=True, docker=True, installed=True, apt=True), Source.GIVEN),
        (Facts(given=False, docker=True, installed=True, apt=True), Source.DOCKER),
        (Facts(given=False, docker=False, installed=True, apt=True), Source.MACHINE),
        (Facts(given=False, docker=False, installed=False, apt=True), Source.APT),
    ],
)
def test_the_first_source_there_is_serves(facts: Facts, source: Source) -> None:
    assert choose(PRODUCT, facts) is source


def test_no_source_is_an_error_of_one_line_that_says_what_to_do() -> None:
    with pytest.raises(services.NoSource) as refusal:
        choose(PRODUCT, NOTHING)
    assert str(refusal.value) == (
        "no Rabbit on this machine: install rabbit-server (apt, dnf, brew), start Docker, or set RABBIT_URL"
    )


@pytest.mark.parametrize("verb", ["stop", "kill", "freeze", "thaw", "restart"])
def test_a_given_server_is_never_controlled(
    private_redis: services.Redis, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("ACTORS_TEST_REDIS_URL", private_redis.url)
    with (
        services.redis() as given,
        pytest.raises(services.Uncontrollable, match="unset ACTORS_TEST_REDIS_URL"),
    ):
        getattr(given, verb)()


def test_a_given_server_is_used_and_outlives_its_use(
    private_redis: services.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_TEST_REDIS_URL", private_redis.url)
    with services.redis() as given:
        assert given.url == private_redis.url
        assert given.version == private_redis.version
    with redis.Redis.from_url(private_redis.url) as client:
        assert client.ping()


def test_a_given_broker_is_used_and_never_controlled(
    rabbitmq_server: services.RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_TEST_BROKER_URL", rabbitmq_server.url)
    with services.rabbitmq() as given:
        assert given.url == rabbitmq_server.url
        assert given.version == rabbitmq_server.version
        with pytest.raises(services.Uncontrollable, match="unset ACTORS_TEST_BROKER_URL"):
            given.ctl("list_queues")


def test_a_private_server_is_not_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_TEST_REDIS_URL", "redis://given.invalid:6379/0")
    with services.redis(private=True) as private:
        assert "given.invalid" not in private.url
