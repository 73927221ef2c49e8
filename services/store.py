import redis

from services.errors import NotReady
from services.service import Service

REDIS_PORT = 6379
ANSWER_SECONDS = 5.0


class Redis(Service):
    """A Redis server; unless given by URL, what it has answered survives SIGKILL."""

    def _ask_version(self) -> str:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=ANSWER_SECONDS, retry=None) as client:
                # While Redis loads its data PING is an error, and INFO is not.
                client.ping()
                return str(client.info("server")["redis_version"])
        except redis.RedisError as error:
            raise NotReady(repr(error)) from error
