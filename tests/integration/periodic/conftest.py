from collections.abc import Iterator

import pytest

from tests.integration.periodic.site import Site


@pytest.fixture(params=["quorum", pytest.param("classic", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, broker_url: str, prefix: str) -> Iterator[Site]:
    """An environment of the test's own, on the session's RabbitMQ, whose queues are of either type."""
    site = Site(broker_url, prefix, request.param)
    yield site
    site.close()
