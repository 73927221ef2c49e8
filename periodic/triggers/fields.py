"""The fields of a cron expression: read one by one, so that a fault is told by its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from periodic.suggestion import did_you_mean

# How far into a range of so many values a schedule is, by the field's name and that number.
Spread = Callable[[str, int], int]

# Digits of ASCII alone, and no more of them than Python reads.
_NUMBER = re.compile(r"[0-9]{1,9}")


class Fault(Exception):
    """What is wrong with a field.

    Attributes:
        problem: in words.
        offset: of the fault, in characters from the field's first.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Field:
    """One of the six kinds of field.

    Attributes:
        low, high: the range of its values.
        names: what its values may be called, from *names_from* on.
        spread_high: the highest value that ``H`` takes: one that every month has, and each day of the week once.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    names_from: int = 0
    spread_high: int | None = None

    def number(self, text: str, offset: int) -> int:
        """Return the value that *text* is a number or a name of.

        Raises:
            Fault: it is neither.
        """
        if text.upper() in self.names:
            return self.names_from + self.names.index(text.upper())
        if not _NUMBER.fullmatch(text):
            raise Fault(self._not_a_value(text), offset)
        if not self.low <= int(text) <= self.high:
            raise Fault(f"{self.name} {int(text)} is out of range {self.low}-{self.high}", offset)
        return int(text)

    def _not_a_value(self, text: str) -> str:
        if not text:
            return f"{self.name} is missing a value"
        if text == "?":
            return f"{self.name} '?' is of other crons; write *"
        hint = did_you_mean(text, self.names)
        names = f" or a name such as {self.names[0]}" if self.names else ""
        return f"{self.name} {text!r} is no number{names}{hint}"


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day-of-month", 1, 31, spread_high=28)
MONTH = Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1)
WEEKDAY = Field("day-of-week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), spread_high=6)

FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)


def plain(field: Field, text: str, spread: Spread) -> str:
    """Return a field in digits, as cronsim reads them: names as numbers, and ``H`` as what *spread* makes of it.

    Raises:
        Fault: *text* is no such field.
    """
    terms, offset = [], 0
    for term in text.split(","):
        terms.append(_term(field, term, offset, spread))
        offset += len(term) + 1
    return ",".join(terms)


def _term(field: Field, text: str, offset: int, spread: Spread) -> str:
    base, slash, step = text.partition("/")
    every = _step(field, step, offset + len(base) + 1) if slash else None
    if base[:1] in {"H", "h"}:
        return _hashed(field, base, every, offset, spread)
    suffix = "" if every is None else f"/{every}"
    if base == "*":
        return base + suffix
    if every is None and (special := _special(field, base, offset)):
        return special
    first, dash, last = base.partition("-")
    if dash:
        return _stepped(*_range(field, first, last, offset), every)
    return f"{field.number(base, offset)}{suffix}"


def _step(field: Field, text: str, offset: int) -> int:
    step = int(text) if _NUMBER.fullmatch(text) else 0
    if not 1 <= step <= field.high:
        # Other crons take 90 minutes for one hour.
        raise Fault(f"{field.name} step {text or 'nothing'} is out of range 1-{field.high}", offset)
    return step


def _range(field: Field, first: str, last: str, offset: int) -> tuple[int, int]:
    low, high = field.number(first, offset), field.number(last, offset + len(first) + 1)
    if field is WEEKDAY and high == 0 < low:
        high = 7  # SAT-SUN
    if low > high:
        two = f"{_stepped(low, field.high)},{_stepped(field.low, high)}"
        raise Fault(f"{field.name} {first}-{last} runs backwards; write {two}", offset)
    return low, high


def _stepped(low: int, high: int, every: int | None = None) -> str:
    # cronsim takes the step of 5-5/2 for one of 5/2, which goes on to the highest value.
    return f"{low}" if low == high else f"{low}-{high}" if every is None else f"{low}-{high}/{every}"


def _special(field: Field, text: str, offset: int) -> str | None:
    """Return ``L`` and ``LW`` of a month, or ``5L`` and ``1#2`` of a week, in digits; None for all else."""
    if field is DAY and text.upper() in {"L", "LW"}:
        return text.upper()
    if field is not WEEKDAY:
        return None
    day, sign, which = text.partition("#")
    if sign:
        if which not in {"1", "2", "3", "4", "5"}:
            raise Fault(f"{field.name} #{which} is out of range #1-#5", offset + len(day))
        return f"{field.number(day, offset)}#{which}"
    if len(text) > 1 and text[-1] in {"L", "l"}:
        return f"{field.number(text[:-1], offset)}L"
    return None


def _hashed(field: Field, text: str, every: int | None, offset: int, spread: Spread) -> str:
    match = re.fullmatch(r"[Hh](?:\((?P<first>\w+)-(?P<last>\w+)\))?", text)
    if match is None:
        raise Fault(f"{field.name} {text!r} is neither H nor H({field.low}-{field.high})", offset)
    low, high = field.low, field.spread_high or field.high
    if match["first"]:
        low = field.number(match["first"], offset + 2)
        high = field.number(match["last"], offset + match.start("last"))
    if low > high:
        raise Fault(f"{field.name} {text} runs backwards", offset)
    if every is None:
        return f"{low + spread(field.name, high - low + 1)}"
    first = low + spread(field.name, min(every, high - low + 1))
    return _stepped(first, high, every)
