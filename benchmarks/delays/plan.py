"""Which messages are sent when, and for when."""

import random
from collections.abc import Iterator
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Delayed:
    """A message: its number, and when it is sent and is due, in seconds from the start."""

    number: int
    at: float
    due: float


@dataclass(frozen=True)
class Plan:
    """Messages with even chances of every delay in a range, the same in every process.

    Attributes:
        first: the number of the first message.
        count: how many there are.
        soonest_s, latest_s: seconds from when a message is to be sent until it is due.
        rate: how many are sent a second; 0 is all at once.
    """

    first: int
    count: int
    soonest_s: float
    latest_s: float
    rate: float = 0

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)

    @property
    def ends_s(self) -> float:
        """When the last is due, in seconds from the start."""
        return (self.count / self.rate if self.rate else 0) + self.latest_s

    def messages(self) -> Iterator[Delayed]:
        """Return the messages in the order of their sending."""
        chance = random.Random(self.first)
        for index, number in enumerate(self.numbers):
            at = index / self.rate if self.rate else 0.0
            yield Delayed(number, at, at + chance.uniform(self.soonest_s, self.latest_s))

    def words(self) -> list[str]:
        """Return what :meth:`read` makes a plan of."""
        return [repr(value) for value in astuple(self)]

    @classmethod
    def read(cls, words: list[str]) -> "Plan":
        first, count, *numbers = words
        return cls(int(first), int(count), *map(float, numbers))


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        hoard: messages in the trial of memory.
        light: messages sent at *light_rate* a second, with delays of 1 s to a quarter of *latest_s* seconds.
        steady: messages sent at *rate* a second, with delays of 1 s to *latest_s* seconds.
        burst: messages that are due within one second, after *lead_s* seconds in which they are sent.
    """

    hoard: int
    light: int
    steady: int
    burst: int
    light_rate: float = 100
    rate: float = 500
    latest_s: float = 20
    lead_s: float = 12

    @classmethod
    def of(cls, messages: int) -> "Size":
        """Return the size with *messages* in the trial of memory, and the others in proportion."""
        return cls(hoard=messages, light=messages // 100, steady=messages * 3 // 10, burst=messages // 5)

    @property
    def light_latest_s(self) -> float:
        return self.latest_s / 4

    def loads(self) -> dict[str, Plan]:
        """Return what lateness is measured under."""
        return {
            "light": Plan(0, self.light, 1, self.light_latest_s, self.light_rate),
            "steady": Plan(self.light, self.steady, 1, self.latest_s, self.rate),
            "burst": Plan(self.light + self.steady, self.burst, self.lead_s, self.lead_s + 1),
        }
