"""The processes of a deployment, seen together: what each does, and how attempts end, as it happens."""

from actors.fleet.protocol import Fleet, Interest, Kept
from actors.fleet.report import ActorWork, Report, Running

__all__ = ["ActorWork", "Fleet", "Interest", "Kept", "Report", "Running"]
