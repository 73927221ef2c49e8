"""RabbitMQ and Redis for tests and the demo: found, or started, and ended with whoever asked for them.

The source is the first there is of: a URL in the environment, a Docker
engine, the machine's own servers (run as private nodes), apt when root.
"""

from services.broker import RabbitMQ
from services.errors import NoSource, NotReady, ServiceError, Uncontrollable
from services.opening import rabbitmq, redis
from services.store import Redis

__all__ = ["NoSource", "NotReady", "RabbitMQ", "Redis", "ServiceError", "Uncontrollable", "rabbitmq", "redis"]
