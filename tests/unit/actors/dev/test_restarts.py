from actors.dev.restarts import LONGEST_PAUSE_S, Restarts


def test_pauses_double_up_to_half_a_minute() -> None:
    restarts = Restarts()
    assert [restarts.died(lived_s=1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [restarts.died(lived_s=1) for _ in range(2_000)][-1] == LONGEST_PAUSE_S


def test_one_that_has_lived_for_long_waits_for_the_shortest_pause() -> None:
    restarts = Restarts()
    assert [restarts.died(lived_s=each) for each in (1, 1, 10, 1)] == [0.5, 1, 0.5, 1]


def test_with_new_code_pauses_begin_anew() -> None:
    restarts = Restarts()
    restarts.died(lived_s=1)
    restarts.forget()
    assert restarts.died(lived_s=1) == 0.5
