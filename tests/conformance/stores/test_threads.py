"""Many workers at once, in threads of one process and through stores of their own."""

from concurrent.futures import ThreadPoolExecutor

from middleware.stores import Claim, Ending, Outcome, Store, Verdict
from tests.conformance.stores.subject import Subject, request

KEYS, WORKERS = 40, 8


def work(store: Store, worker: int) -> list[str]:
    """The keys that *worker* has run, of those that all workers ask for, batch by batch."""
    ran: list[str] = []
    outcomes: list[Outcome] = []
    for start in range(0, KEYS, 5):
        asked = [request(f"k{number}", f"m{worker}") for number in range(start, start + 5)]
        counted, answers = store.exchange(outcomes, asked)
        assert all(counted)
        pairs = zip(asked, answers, strict=True)
        outcomes = [Outcome(Claim(each, got.fence), Ending.DONE) for each, got in pairs if got.verdict is Verdict.RUN]
        ran += (outcome.claim.request.key for outcome in outcomes)
    assert all(store.exchange(outcomes, [])[0])
    return ran


def ran_by_all(stores: list[Store]) -> list[str]:
    with ThreadPoolExecutor(WORKERS) as threads:
        return sorted(key for ran in threads.map(work, stores, range(WORKERS)) for key in ran)


def test_threads_that_share_a_store_run_each_key_once(store: Store) -> None:
    assert ran_by_all([store] * WORKERS) == sorted(f"k{number}" for number in range(KEYS))


def test_processes_that_share_a_server_run_each_key_once(subject: Subject) -> None:
    assert ran_by_all([subject.another() for _ in range(WORKERS)]) == sorted(f"k{number}" for number in range(KEYS))
