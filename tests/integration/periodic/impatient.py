"""``python -m tests.integration.periodic.impatient``: ``python -m periodic`` with limits for tests that can't wait."""

from actors.cli.periodic import main
from periodic import consumers, health, skew, status

if __name__ == "__main__":
    health.UNCONSUMED_FOR_S = 1.0
    status.TURN_WITHIN_S = 2.0
    consumers.LOOK_EVERY_S = skew.ASK_EVERY_S = 0.2
    main()
