class ServiceError(Exception):
    """A service for tests or the demo cannot do what was asked of it."""


class NoSource(ServiceError):
    """No source on this machine can give the service."""


class NotReady(ServiceError):
    """A server did not answer, or did not end, within its deadline."""


class Uncontrollable(ServiceError):
    """The service was given to us, so it is not ours to stop or to freeze."""
