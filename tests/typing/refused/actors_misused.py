"""What the type checker refuses; each line says with which error codes."""

from datetime import UTC, datetime

from actors import actor


def key_of_charge(order_id: int, cents: int = 0) -> str:
    return f"charge:{order_id}"


@actor
def charge(order_id: int, cents: int = 0) -> str:
    return f"{order_id}: {cents}"


@actor(queue_name="slow", max_retries=3)
def report(month: str, *, draft: bool = False) -> None: ...


@actor
async def fetch(url: str) -> bytes:
    return url.encode()


charge.send("x")  # E: arg-type
charge.send()  # E: call-arg
charge.send(1, 2, 3)  # E: call-arg
charge.send(1, cent=2)  # E: call-arg
charge.message("x")  # E: arg-type
charge("x")  # E: arg-type
report.send("2026-01", True)  # E: call-arg
report.send(1)  # E: arg-type
fetch.send(b"x")  # E: arg-type

text: int = charge(1)  # E: assignment
message: int = charge.send(1)  # E: assignment
body: str = fetch("https://example.org")  # E: assignment

charge.send_with_options((1,))  # E: call-arg
charge.send_with_options(args=1)  # E: arg-type
charge.send_with_options(args=(1,), max_retry=3)  # E: call-arg
charge.send_with_options(args=(1,), max_retries="3")  # E: arg-type
charge.send_with_options(args=(1,), delay=1.5)  # E: arg-type
charge.send_with_options(args=(1,), eta="2026-01-01")  # E: arg-type
charge.send_with_options(args=(1,), eta=datetime.now(UTC).timestamp())  # E: arg-type
charge.send_with_options(args=(1,), throws=ValueError)  # E: call-arg
charge.send_with_options(args=(1,), idempotency_key=42)  # E: arg-type
charge.send_with_options(args=(1,), idempotency_key=key_of_charge)  # E: arg-type
charge.send_with_options(args=(1,), idempotency_kye="charge:1")  # E: call-arg
charge.send_with_options(args=(1,), idempotency_ttl=1.5)  # E: arg-type
charge.send_with_options(args=(1,), lease="30s")  # E: arg-type
charge.send_with_options(args=(1,), on_duplicate="skp")  # E: arg-type
charge.send_with_options(args=(1,), on_lost="skip")  # E: arg-type
charge.send_with_options(args=(1,), on_outage="skip")  # E: arg-type
charge.send_with_options(args=(1,), on_failed="skip")  # E: arg-type
charge.send_with_options(args=(1,), max_losses=None)  # E: arg-type
charge.send_with_options(args=(1,), idempotent="no")  # E: arg-type
charge.send_with_options(args=(1,), scope=charge)  # E: arg-type


@actor(max_retry=3)  # E: call-overload, untyped-decorator
def unknown_option() -> None: ...


@actor(max_retries="3")  # E: call-overload, untyped-decorator
def option_of_another_type() -> None: ...


@actor(retry_when=lambda error: True)  # E: arg-type
def predicate_of_another_shape() -> None: ...


@actor(idempotency_key=42)  # E: call-overload, untyped-decorator
def key_of_another_type() -> None: ...


@actor(idempotency_key=lambda order_id: 42)  # E: arg-type, return-value
def key_that_is_no_text(order_id: int) -> None: ...


@actor(on_duplicate="skp")  # E: call-overload, untyped-decorator
def choice_that_there_is_not() -> None: ...


@actor(lease=1.5)  # E: call-overload, untyped-decorator
def duration_of_another_type() -> None: ...


actor(42)  # E: call-overload
