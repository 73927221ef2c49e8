"""Fields of cron expressions, drawn together with what they mean."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta

from hypothesis import strategies as st

from tests.property.cron_oracle import DayPart, Oracle, Part

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]

# With each day of the month and each of the week, in each month.
DAYS = [date(2000, 1, 1) + timedelta(days=number) for number in range(8 * 366)]


def spelled(number: int, names: list[str], first: int) -> st.SearchStrategy[str]:
    """A number, or what it is called, in any case."""
    if not names:
        return st.just(str(number))
    name = names[number - first]
    return st.sampled_from([str(number), name, name.lower(), name.title()])


@st.composite
def numbers(draw: st.DrawFn, low: int, high: int, names: list[str] | None = None) -> Part:
    """A field of numbers: stars, steps, ranges, and lists of them."""
    texts, allowed = [], set[int]()
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["*", "*/n", "a", "a-b", "a-b/n", "a/n"]))
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, high))
        # SUN begins a range as the Sunday before Monday and ends one as that after Saturday; 0-SUN is one day.
        a = draw(spelled(first, [] if names is WEEKDAYS and first == 7 else names or [], low))
        b = draw(spelled(last, [] if (first, last) == (0, 7) else names or [], low))
        texts.append(
            {"*": "*", "*/n": f"*/{step}", "a": a, "a-b": f"{a}-{b}", "a-b/n": f"{a}-{b}/{step}", "a/n": f"{a}/{step}"}[
                kind
            ]
        )
        begin, end = (low, high) if "*" in kind else (first, first if kind == "a" else high if kind == "a/n" else last)
        allowed |= set(range(begin, end + 1, step if "n" in kind else 1))
    return Part(",".join(texts), allowed.__contains__)


def days_of_month() -> st.SearchStrategy[DayPart]:
    last = DayPart("L", lambda day: day.day == monthrange(day.year, day.month)[1])
    working = DayPart("LW", lambda day: day == max(each for each in days_of(day) if each.weekday() < 5))
    return star() | st.just(last) | st.just(working) | numbers(1, 31).map(lambda part: by(part, lambda day: day.day))


def days_of_week() -> st.SearchStrategy[DayPart]:
    return star() | last_weekdays() | nth_weekdays() | numbers(0, 7, WEEKDAYS).map(as_weekday)


def star() -> st.SearchStrategy[DayPart]:
    return st.just(DayPart("*", lambda day: True))


def as_weekday(part: Part) -> DayPart:
    return DayPart(part.text, lambda day: any(map(part.allows, sunday_twice(day))))


def last_weekdays() -> st.SearchStrategy[DayPart]:
    return st.integers(0, 7).map(
        lambda number: DayPart(
            f"{number}L",
            lambda day: number in sunday_twice(day) and day.day > monthrange(day.year, day.month)[1] - 7,
        )
    )


def nth_weekdays() -> st.SearchStrategy[DayPart]:
    return st.tuples(st.integers(0, 7), st.integers(1, 4)).map(
        lambda pair: DayPart(
            f"{pair[0]}#{pair[1]}", lambda day: pair[0] in sunday_twice(day) and (day.day - 1) // 7 + 1 == pair[1]
        )
    )


def by(part: Part, number: Callable[[date], int]) -> DayPart:
    return DayPart(part.text, lambda day: part.allows(number(day)))


def sunday_twice(day: date) -> set[int]:
    """What the day is called in cron: Sunday is 0 and 7."""
    return {day.isoweekday(), day.isoweekday() % 7}


def days_of(day: date) -> list[date]:
    return [day.replace(day=number) for number in range(1, monthrange(day.year, day.month)[1] + 1)]


def oracles() -> st.SearchStrategy[Oracle]:
    parts = numbers(0, 59), numbers(0, 23), days_of_month(), numbers(1, 12, MONTHS), days_of_week()
    # One that never fires is refused.
    return st.builds(Oracle, *parts).filter(lambda oracle: any(map(oracle.matches_day, DAYS)))


def daily_oracles() -> st.SearchStrategy[Oracle]:
    """Expressions of every day, so that a change of the clocks is likely to touch one of their times."""
    every = Part("*", lambda number: True)
    return st.builds(Oracle, numbers(0, 59), numbers(0, 23), star(), st.just(every), star())
