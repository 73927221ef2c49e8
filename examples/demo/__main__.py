"""The demo: a shop takes orders, one of its two workers is killed with SIGKILL, and nothing is lost."""

from __future__ import annotations

import argparse
import json
import sys
import time

from rich.console import Console

from examples.demo.display import progress_on, table, verdict
from examples.demo.place import PLACES
from examples.demo.processes import LEASE_MS, open_shop, start_workers
from examples.demo.progress import Progress
from examples.demo.run import run
from services import ServiceError

# With less to do, all may be done before a worker can be killed.
FEWEST_ORDERS = 100

INTERRUPTED = 130


def main() -> int:
    """Play it, and return 0 if all was kept, 1 if a job is lost or time is up, 130 after Ctrl-C."""
    arguments = _arguments()
    console = Console(stderr=arguments.json, highlight=False)
    try:
        end = _play(console, arguments.broker, arguments.orders, arguments.deadline)
    except KeyboardInterrupt:
        console.print("Interrupted: all that was started has been ended.")
        return INTERRUPTED
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(end.as_json(), indent=2))
    console.print("", table(end), "", *verdict(end), sep="\n")
    return 0 if end.kept else 1


def _play(console: Console, broker: str, orders: int, deadline: float) -> Progress:
    started = time.monotonic()
    if broker == "rabbitmq":
        console.print("Starting RabbitMQ and Redis …")
    with open_shop(orders, PLACES[broker]) as shop:
        console.print(f"The jobs are in {shop.place.words}.", soft_wrap=True)
        console.print(f"Starting two workers with leases of {LEASE_MS / 1000:g} s …")
        start_workers(shop)
        console.print(f"Ready after {time.monotonic() - started:.1f} s; the application sends {orders:,} orders.\n")
        with progress_on(console) as show:
            return run(shop, orders, deadline=deadline, show=show)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--broker", choices=PLACES, default="sqlite", help="where the jobs are; default sqlite: a file")
    parser.add_argument("--orders", type=int, default=1_000, metavar="N", help=f"{FEWEST_ORDERS} or more; default 1000")
    parser.add_argument("--deadline", type=float, default=120, metavar="S", help="seconds for all jobs; default 120")
    parser.add_argument("--json", action="store_true", help="print the table as JSON, and the rest to standard error")
    arguments = parser.parse_args()
    if not arguments.deadline > 0:
        parser.error(f"--deadline {arguments.deadline}: more than 0")
    if arguments.orders < FEWEST_ORDERS:
        parser.error(f"--orders {arguments.orders}: {FEWEST_ORDERS} or more")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
