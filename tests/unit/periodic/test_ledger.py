"""What a ledger opens, on queues in memory."""

from periodic.ledger import RabbitmqLedger
from periodic.missed import Missed
from tests.unit.periodic.moments import MIDNIGHT
from tests.unit.periodic.queues_in_memory import QUEUES, QueuesInMemory


def test_the_channel_for_records_is_opened_once_and_with_the_first() -> None:
    queues, opened = QueuesInMemory(), []

    def aside() -> QueuesInMemory:
        opened.append(True)
        return queues

    ledger = RabbitmqLedger(queues, aside, queues, QUEUES)  # type: ignore[arg-type]  # as far as a ledger needs them
    ledger.end()
    assert not opened

    for _ in range(2):
        ledger.record(Missed("a", MIDNIGHT, "a reason"))
    assert (len(queues.records), len(opened)) == (2, 1)
