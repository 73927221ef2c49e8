"""What the type checker refuses; each line says with which error codes."""

from datetime import UTC, datetime

from actors import actor


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


@actor(max_retry=3)  # E: call-overload, untyped-decorator
def unknown_option() -> None: ...


@actor(max_retries="3")  # E: call-overload, untyped-decorator
def option_of_another_type() -> None: ...


@actor(retry_when=lambda error: True)  # E: misc, arg-type
def predicate_of_another_shape() -> None: ...


actor(42)  # E: call-overload
