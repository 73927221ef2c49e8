"""``python -m tests.faults.skewed``: a scheduler as ``python -m periodic`` runs it, on a machine of its own.

Its clock is ``SKEW_S`` seconds ahead, which it measures each second. It takes a fresh baton every ``RENEW_EVERY_S``
seconds.
"""

import os
import signal
from datetime import timedelta

from actors import settings
from actors.cli.logs import log_everything
from actors.cli.periodic import leave
from actors.health.server import serve
from actors.loading import load
from actors.scheduling import make_scheduler, probes
from periodic import skew
from periodic.scheduler import RENEW_EVERY_S, utc_now

if __name__ == "__main__":
    log_everything()
    skew.ASK_EVERY_S = 1.0
    load(["tests.faults.ticks"])
    ahead = timedelta(seconds=int(os.environ.get("SKEW_S", "0")))
    scheduler = make_scheduler(
        clock=lambda: utc_now() + ahead, renew_every_s=float(os.environ.get("RENEW_EVERY_S", RENEW_EVERY_S))
    )
    serve(settings().health_address, probes(scheduler))
    signal.signal(signal.SIGTERM, leave)
    scheduler.run()
