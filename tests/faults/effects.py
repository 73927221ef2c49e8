"""What the actors of ``tests.faults.once`` did, and whether it is what they should have done."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

# A worker records what has ended with its next batch; one that is killed later than this had the time.
RECORDED_WITHIN_S = 1.0


@dataclass(frozen=True)
class Run:
    """One run of an actor; times are seconds since the Unix epoch.

    Attributes:
        key: what it was for.
        fence: its fencing token.
        maybe_ran: whether it was told that an earlier run may have done the work.
        message_id: of the message.
        worker: the process group of its worker.
        redelivered: whether RabbitMQ had delivered the message before.
        began, ended: when; None where it never came to its end.
    """

    key: str
    fence: int
    maybe_ran: bool
    message_id: str
    worker: int
    redelivered: bool
    began: float
    ended: float | None


@dataclass(frozen=True)
class Effects:
    """All runs so far."""

    path: Path

    def runs(self) -> list[Run]:
        """Return all runs, in the order of their fences."""
        begun: list[tuple[int, list[str]]] = []
        ended: dict[int, list[float]] = defaultdict(list)
        for event, key, fence, *others in self._lines():
            if event == "begin":
                begun.append((int(fence), [key, *others]))
            else:
                ended[int(fence)].append(float(others[-1]))
        # A claim that ran twice would show as two runs with one fence.
        return [_run(fence, words, ended[fence].pop(0) if ended[fence] else None) for fence, words in sorted(begun)]

    def by_key(self) -> dict[str, list[Run]]:
        runs = defaultdict(list)
        for run in self.runs():
            runs[run.key].append(run)
        return runs

    def done(self) -> set[str]:
        """Return the keys whose work has come to its end."""
        return {run.key for run in self.runs() if run.ended is not None}

    def wrong(self, *, killed: Mapping[int, float], poison: Set[str] = frozenset()) -> list[str]:
        """Return what broke the promise that a key is done once, unless its worker was killed before it could say so.

        Args:
            killed: the workers that were killed, and when.
            poison: keys that were dead-lettered, because they had cost too many workers.
        """
        return [text for key, runs in self.by_key().items() for text in _wrong(runs, killed, key in poison)]

    def _lines(self) -> Iterator[list[str]]:
        # A reader can come upon the first half of a line that goes over the end of a page.
        text = self.path.read_text() if self.path.exists() else ""
        yield from (line.split() for line in text.rpartition("\n")[0].splitlines())


def _run(fence: int, words: list[str], ended: float | None) -> Run:
    key, maybe_ran, message_id, worker, redelivered, began = words
    return Run(key, fence, maybe_ran == "True", message_id, int(worker), redelivered == "True", float(began), ended)


def _wrong(runs: list[Run], killed: Mapping[int, float], is_poison: bool) -> Iterator[str]:
    for earlier, later in pairwise(runs):
        if not later.maybe_ran:
            yield f"{later} was not told of {earlier}"
        at = killed.get(earlier.worker)
        if at is None or later.began < at:
            yield f"{later} followed {earlier}, whose worker lived"
        elif earlier.ended is not None and at - earlier.ended > RECORDED_WITHIN_S:
            yield f"{later} followed {earlier}, which had ended {at - earlier.ended:.3f} s before its worker was killed"
    if runs[-1].ended is None and not is_poison:
        yield f"{runs[-1]} was the last and has no end"
