"""How far two clocks are apart, from one answer of the other."""

from datetime import timedelta

import pytest

from periodic.skew import SLOWEST_ANSWER, skew
from tests.unit.periodic.moments import after

HALF_A_SECOND = timedelta(milliseconds=500)


@pytest.mark.parametrize("ahead_s", [-90, 0, 90])
@pytest.mark.parametrize(("theirs", "took_s"), [(10.0, 0.001), (10.4, 0.2), (10.999, 0.01)])
def test_it_is_known_to_half_a_second_and_half_of_what_the_answer_took(
    ahead_s: float, theirs: float, took_s: float
) -> None:
    ours = theirs + ahead_s
    found = skew(after(ours), after(int(theirs)), after(ours + took_s))
    assert found is not None
    assert abs(found - timedelta(seconds=ahead_s)) <= HALF_A_SECOND + timedelta(seconds=took_s / 2)


@pytest.mark.parametrize("took", [SLOWEST_ANSWER + timedelta(milliseconds=1), timedelta(milliseconds=-1)])
def test_an_answer_that_waited_or_a_clock_that_was_set_meanwhile_says_nothing(took: timedelta) -> None:
    assert skew(after(0), after(0), after(0) + took) is None
