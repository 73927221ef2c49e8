"""What the type checker accepts of error trackers."""

import sentry_sdk

from actors import once_per_failure

sentry_sdk.init(before_send=once_per_failure)
