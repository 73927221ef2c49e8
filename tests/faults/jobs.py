"""The actors that the fault tests run in real workers; they write what they did where no fault reaches."""

import os
import time

from actors import actor
from middleware.attempt import current


@actor(max_retries=0)
def record(number: int) -> None:
    """Append a line to the journal; one of less than a page is written whole or not at all."""
    descriptor = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{number} {time.time()} {current().maybe_ran}\n".encode())
    finally:
        os.close(descriptor)
