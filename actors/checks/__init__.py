"""What can be said about a deployment before its first message: findings as data, and nothing printed.

Looking never changes anything: no queue is made, and the few dead letters that are taken go back to their places.
"""

from actors.checks.finding import Finding, Report, Status
from actors.checks.report import check

__all__ = ["Finding", "Report", "Status", "check"]
