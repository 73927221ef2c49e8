"""Dead letters, put where workers put them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dramatiq
import pytest

from actors.brokers.rabbitmq import RabbitmqBroker
from actors.dead_letters import Dead, DeadLetters
from middleware import Letter
from middleware.failure import Failure, Reason
from tests.integration.broker.conftest import MakeBroker

FIRST_DIED = 1_000_000


class Site:
    """A broker, and the dead letters of its queues.

    Attributes:
        broker: with no actors yet.
        letters: its dead letters.
    """

    def __init__(self, broker: RabbitmqBroker) -> None:
        self.broker = broker
        self.letters = DeadLetters(broker, ["default", "reports"])
        broker.declare_queue("default", ensure=True)
        broker.declare_queue("reports")

    def bury(self, *names: str, **options: Any) -> None:
        """Put a dead letter for each of *names* behind the others: they are the ids of their messages."""
        publications = [self.publication(name, number, **options) for number, name in enumerate(names)]
        assert self.broker.engine.publisher.publish(publications, 30) == []

    def publication(
        self,
        name: str,
        number: int = 0,
        *,
        queue: str = "default",
        actor: str = "job",
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        failure: Failure | None = None,
        died: int | None = None,
        **options: Any,
    ) -> Any:
        message: dramatiq.Message[Any] = dramatiq.Message(
            queue, actor, tuple([name] if args is None else args), kwargs or {}, options, message_id=name
        )
        failure = failure or Failure(Reason.EXHAUSTED, "ValueError", "boom")
        letter = Letter.of(message, failure, queue=queue, died=FIRST_DIED + number if died is None else died)
        return self.broker.engine.bury(message.encode(), letter)

    def names(self, **options: Any) -> list[str]:
        """The ids of the messages of all dead letters, in their order."""
        return ids(self.letters.look(limit=100_000, **options).letters)

    def count(self) -> int:
        return sum(stock.count for stock in self.letters.stock())


def ids(letters: Sequence[Dead]) -> list[str]:
    return [dead.letter.message_id for dead in letters]


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(make_broker: MakeBroker) -> MakeSite:
    return lambda **options: Site(make_broker(**options))


@pytest.fixture
def site(make_site: MakeSite, queue_type: str) -> Site:
    return make_site(queue_type=queue_type)


@contextmanager
def returned(site: Site) -> Iterator[None]:
    """Require that the block leaves all dead letters as and where they were."""
    before = [(dead.letter, dead.found_in, dead.expires) for dead in site.letters.look(limit=100_000).letters]
    yield
    after = [(dead.letter, dead.found_in, dead.expires) for dead in site.letters.look(limit=100_000).letters]
    assert after == before
