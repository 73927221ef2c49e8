"""Where the processes of an instance count together."""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path

from actors.errors import SettingsError
from middleware.metrics import Files, Place, PlaceBusy

log = logging.getLogger("actors")

# prometheus_client reads it when it is first imported, and then keeps all its metrics there.
LIBRARYS = "PROMETHEUS_MULTIPROC_DIR"


def shared(instance: Path) -> Files:
    """Return what keeps the numbers of this process in the directory *instance*.

    What the application counts with prometheus_client is kept there, too, unless it has chosen another place, or has
    imported the library already.

    Raises:
        SettingsError: the directory can't be used.
    """
    path = instance / "metrics"
    try:
        place = Place(path)
        _enter(place)
    except OSError as error:
        raise SettingsError(
            f"ACTORS_RUNTIME_DIR: {path} can't be used: {error.strerror or error}; name a directory of this user's"
        ) from None
    chosen = os.environ.setdefault(LIBRARYS, str(path))
    if chosen != str(path):
        log.info("%s is %s: what the application counts is kept there, and not shown with the rest", LIBRARYS, chosen)
    elif "prometheus_client" in sys.modules:
        log.info("prometheus_client was imported before the worker started: what the application counts is not shown")
    return Files(place)


def _enter(place: Place) -> None:
    try:
        place.enter()
    except OSError as error:
        if not isinstance(error, PlaceBusy) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # What is left there waits until the next look; jobs do not.
        log.warning("what ended processes have counted can't be merged now: %s", error)
