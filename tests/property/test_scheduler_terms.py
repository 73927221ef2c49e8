"""Terms of leaders with different code, clocks and fates, one after the other, on queues in memory."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from hypothesis import given, settings
from hypothesis import strategies as st
from pika.exceptions import AMQPConnectionError

from periodic.leader import Leader
from periodic.outlook import Outlook
from periodic.position import Position
from periodic.schedule import Schedule
from periodic.status import Status
from periodic.takeover import Replica, take_over
from periodic.watermark import Watermark
from tests.unit.periodic.moments import MIDNIGHT, after, each
from tests.unit.periodic.queues_in_memory import QueuesInMemory, publication

FOREVER = timedelta(days=366)


def schedule(name: str, seconds: float, **options: object) -> Schedule:
    return each(seconds, name, catch_up=FOREVER, **options)


# "a" and "b" are in every version, "b" with other arguments; "c", "d" and "e" come and go.
VERSIONS = [
    [schedule("a", 1), schedule("b", 2), schedule("c", 1)],
    [schedule("a", 1), schedule("b", 2, args=[1]), schedule("d", 1.5)],
    [schedule("a", 1), schedule("b", 2), schedule("d", 1.5), schedule("e", 3, jitter=2_500)],
]
ALWAYS = {"a", "b"}
# By so much the clocks differ from the right one at most.
SKEW_S = 90


@dataclass(frozen=True)
class Term:
    """One term.

    Attributes:
        version: which code leads.
        skew_s: how far its clock is ahead, in seconds.
        lasts_s: how long it lasts, in seconds, if it does not die before.
        dies_at: at which write it dies; 0 for none.
        dies_after: whether that write is done.
        full: the schedules whose messages are refused meanwhile.
        pause_s: how long nobody leads after it, in seconds.
    """

    version: int
    skew_s: int
    lasts_s: int
    dies_at: int
    dies_after: bool
    full: frozenset[str]
    pause_s: int


TERMS = st.lists(
    st.builds(
        Term,
        version=st.integers(0, len(VERSIONS) - 1),
        skew_s=st.integers(-SKEW_S, SKEW_S),
        lasts_s=st.integers(1, 20),
        dies_at=st.integers(0, 15),
        dies_after=st.booleans(),
        full=st.frozensets(st.sampled_from("abcde"), max_size=2),
        pause_s=st.integers(0, 10),
    ),
    min_size=1,
    max_size=8,
)


@given(TERMS)
@settings(max_examples=60)
def test_each_tick_is_enqueued_once_whoever_leads_and_however_terms_end(terms: list[Term]) -> None:
    queues, wall = QueuesInMemory(), 0.0
    # A process may lead many times.
    outlooks = [Outlook(version, MIDNIGHT) for version in VERSIONS]
    for term in terms:
        wall = lead(queues, term, wall, outlooks[term.version]) + term.pause_s
    # At last each version leads with the fastest clock there was, and nothing befalls it.
    for version in range(len(VERSIONS)):
        wall = lead(queues, Term(version, SKEW_S, 5, 0, False, frozenset(), 0), wall, outlooks[version])

    roster, watermark = queues.read()
    assert roster is not None
    assert watermark is not None
    began = min(entry.since for name, entry in roster.entries.items() if name in ALWAYS)
    always = {id_ for each in VERSIONS[0] if each.name in ALWAYS for id_ in ids(each, began, watermark)}
    others = {
        id_
        for version in VERSIONS
        for each in version
        if each.name not in ALWAYS
        for id_ in ids(each, after(-SKEW_S), watermark)
    }
    assert max(queues.jobs.values(), default=1) == 1
    assert always <= queues.jobs.keys() <= always | others
    assert not queues.records


def ids(schedule: Schedule, began: datetime, watermark: Watermark) -> set[str]:
    """Of the ticks of *schedule* that are due after *began*, and up to *watermark*."""
    ticks = takewhile(lambda tick: Position.of(tick) <= watermark.mark, schedule.ticks_after(began))
    return {tick.id for tick in ticks}


def lead(queues: QueuesInMemory, term: Term, wall: float, outlook: Outlook) -> float:
    """Let a replica lead, which has run since midnight; return when its term ends."""
    skew = timedelta(seconds=term.skew_s)
    replica = Replica(f"version {term.version}", MIDNIGHT + skew, {each.name: each for each in VERSIONS[term.version]})
    roster, watermark = queues.read()
    queues.full = set(term.full)
    # The first leader of all has written both, or has not been one.
    queues.dies_at, queues.dies_after = (-1 if watermark is None else term.dies_at or -1), term.dies_after
    end = wall + term.lasts_s
    with suppress(AMQPConnectionError):
        now = after(wall) + skew
        outlook.follow(now)
        takeover = take_over(roster, watermark, replica, now)
        ledger = queues.begin(takeover, first=watermark is None)
        leader = Leader(ledger, replica.schedules, takeover.positions, publication, Status("r"), now, outlook)
        while wall < end:
            turn = leader.next_turn()
            now = after(wall) + skew
            if turn is not None and turn <= now:
                leader.take_turn(now)
            else:
                wall += 0.25
    return wall
