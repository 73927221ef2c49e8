"""The error of a delivery, which is reported after its worker thread is done with it."""

import traceback

import dramatiq

from actors.brokers.delivery import Delivery, Epoch


def failing() -> None:
    raise LookupError("no order")


def delivered(*, failed: bool) -> Delivery:
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name="default", actor_name="charge", args=(), kwargs={}, options={}
    )
    delivery = Delivery(message, redelivered=False, epoch=Epoch(), tag=1, body=b"")
    try:
        failing()
    except LookupError as error:
        delivery.stuff_exception(error)
    if failed:
        delivery.fail()
    return delivery


def test_a_worker_that_is_done_with_a_failed_message_leaves_its_error_to_who_reports_it() -> None:
    delivery = delivered(failed=True)
    delivery.clear_exception()
    error = delivery.take_error()
    assert isinstance(error, LookupError)
    assert "in failing" in "".join(traceback.format_exception(error))


def test_the_error_of_an_attempt_that_is_not_reported_is_forgotten() -> None:
    delivery = delivered(failed=False)
    delivery.clear_exception()
    assert delivery.take_error() is None


def test_the_error_is_held_no_longer_than_until_it_is_taken() -> None:
    delivery = delivered(failed=True)
    assert delivery.take_error() is not None
    assert delivery.take_error() is None
    assert not any(isinstance(value, BaseException) for value in vars(delivery).values())
    assert delivery._traceback is None


def test_a_middleware_that_strips_the_traceback_does_not_keep_it_from_the_report() -> None:
    # As Sentry's does: it ends a context manager with the error, and without its traceback
    delivery = delivered(failed=True)
    assert delivery._exception is not None
    delivery._exception.__traceback__ = None
    assert "in failing" in "".join(traceback.format_exception(delivery.take_error()))
