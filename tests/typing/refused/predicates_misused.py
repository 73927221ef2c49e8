"""What the type checker refuses of retries; each line says with which error codes."""

from datetime import timedelta

from actors import FailedAttempt, Retryable, actor, by_status, by_type


async def later(retries: int, error: BaseException) -> bool:
    return True


def of_a_value_error(retries: int, error: ValueError) -> bool:
    return True


class Yes(Retryable):
    def decide(self, attempt: FailedAttempt) -> bool:
        return True


class Seconds(Retryable):
    def decide(self, attempt: FailedAttempt) -> int:  # E: override
        return 5


class Narrow(Retryable):
    def decide(self, attempt: Exception) -> bool:  # E: override
        return True


class Undecided(Retryable): ...


Undecided()  # E: abstract
Retryable()  # E: abstract

by_type("ConnectionError")  # E: arg-type
by_type(int)  # E: arg-type
by_type(KeyError())  # E: arg-type
by_type((KeyError, ValueError))  # E: arg-type
by_status("429")  # E: arg-type
by_status([429, 503])  # E: arg-type
by_type(KeyError) & (lambda retries, error: True)  # E: operator


@actor(retry_when=lambda retries, error: "yes")  # E: arg-type
def an_answer_that_is_none() -> None: ...


@actor(retry_when=lambda retries, error: 5)  # E: arg-type
def seconds_that_are_no_timedelta() -> None: ...


@actor(retry_when=later)  # E: arg-type
def a_predicate_that_is_async() -> None: ...


@actor(retry_when=of_a_value_error)  # E: arg-type
def a_predicate_of_some_errors() -> None: ...


@actor(retry_when=Yes)  # E: arg-type
def a_class_that_is_no_predicate() -> None: ...


@actor(retry_when=by_type)  # E: arg-type
def a_maker_of_predicates() -> None: ...


@actor(retry_when=True)  # E: call-overload, untyped-decorator
def an_answer_in_place_of_a_predicate() -> None: ...


@actor(throws="ValueError")  # E: call-overload, untyped-decorator
def a_name_of_an_error() -> None: ...


@actor(throws=ValueError())  # E: call-overload, untyped-decorator
def an_error_that_is_no_class() -> None: ...


@actor(min_backoff="15s")  # E: call-overload, untyped-decorator
def a_duration_of_another_type() -> None: ...


@actor(jitter=0.1)  # E: call-overload, untyped-decorator
def a_share_of_jitter() -> None: ...


@actor
def charge() -> None: ...


charge.send_with_options(retry_when=Yes())  # E: call-arg
charge.send_with_options(throws=ValueError)  # E: call-arg
charge.send_with_options(jitter="no")  # E: arg-type
charge.send_with_options(max_backoff=1.5)  # E: arg-type
charge.send_with_options(max_age="1h")  # E: arg-type
charge.send_with_options(max_retries=timedelta(days=1))  # E: arg-type
