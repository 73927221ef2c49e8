"""Dead letters in RabbitMQ, put where workers put them."""

from collections.abc import Callable

import pytest

from middleware.stores.redis import RedisStore
from tests.conformance.operators.site import RabbitmqSite
from tests.integration.broker.conftest import MakeBroker

MakeSite = Callable[..., RabbitmqSite]


@pytest.fixture
def make_site(make_broker: MakeBroker, store: RedisStore) -> MakeSite:
    return lambda **options: RabbitmqSite(make_broker(**options), store)


@pytest.fixture
def site(make_site: MakeSite, queue_type: str) -> RabbitmqSite:
    return make_site(queue_type=queue_type)
