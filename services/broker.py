from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.certificates import Certificates
from services.control import Control
from services.errors import ServiceError
from services.handshake import rabbitmq_version
from services.service import Service

AMQP_PORT, AMQPS_PORT = 5672, 5671

# Of rabbitmqctl's own start, which takes half a second of CPU, only what has no other way pays.
RABBITMQCTL_EVAL = ("rabbitmqctl", "--silent", "eval")

# What RabbitMQ knows of a quorum queue may be five seconds old, unless the queue itself is asked; one that was declared
# in this very moment can't be asked yet, and one may be deleted meanwhile.
_MESSAGES = """
Count = fun Again(Queue) ->
  case rabbit_amqqueue:lookup(amqqueue:get_name(Queue)) of
    {error, not_found} -> [];
    _ ->
      Asked = (catch case amqqueue:get_type(Queue) of
        rabbit_quorum_queue -> ra:leader_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1);
        _ -> {ok, {0, proplists:get_value(messages, rabbit_amqqueue:info(Queue, [messages]))}, 0}
      end),
      case Asked of
        {ok, {_, Total}, _} -> [Total];
        _ -> timer:sleep(10), Again(Queue)
      end
  end
end,
[io:format("~s\\t~b\\n", [element(4, amqqueue:get_name(Queue)), Total])
 || Queue <- rabbit_amqqueue:list(), Total <- Count(Queue)].
"""
_UNACKED = """
[io:format("~s\\t~b\\n", [element(4, amqqueue:get_name(Queue)), Count])
 || Queue <- rabbit_amqqueue:list(),
    {messages_unacknowledged, Count} <-
      (try rabbit_amqqueue:info(Queue, [messages_unacknowledged]) catch _:_ -> [] end)].
"""

_ADD_USER = """
rabbit_auth_backend_internal:add_user({user}, {password}, <<"tests">>),
rabbit_auth_backend_internal:set_permissions({user}, <<"/">>, {configure}, {write}, {read}, <<"tests">>).
"""
_DELETE_USER = """rabbit_auth_backend_internal:delete_user({user}, <<"tests">>)."""

_SET_POLICY = """
rabbit_policy:set(<<"/">>, {name}, {pattern}, rabbit_json:decode({definition}), 0, <<"queues">>, <<"tests">>).
"""
_CLEAR_POLICY = """rabbit_policy:delete(<<"/">>, {name}, <<"tests">>)."""

PASSWORD = "secret"


class RabbitMQ(Service):
    """A RabbitMQ server: user guest, password guest, virtual host "/"; one given by URL, what the URL says."""

    def __init__(
        self,
        url: str,
        control: Control,
        *,
        tls_url: str = "",
        certificates: Certificates | None = None,
        evaluator: Sequence[str] = RABBITMQCTL_EVAL,
    ) -> None:
        super().__init__(url, control)
        self._evaluator = evaluator
        self._tls_url = tls_url
        self._certificates = certificates

    @property
    def tls_url(self) -> str:
        """The URL of its amqps port. This and the files below raise ServiceError without `rabbitmq(tls=True)`."""
        self._tls()
        return self._tls_url

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that vouches for server and client, in PEM."""
        return self._tls().ca

    @property
    def client_cert(self) -> Path:
        """A certificate that the server accepts, in PEM; it asks for none unless configured to."""
        return self._tls().client_cert

    @property
    def client_key(self) -> Path:
        """The key of the client's certificate, in PEM, unencrypted."""
        return self._tls().client_key

    def ctl(self, *arguments: str) -> str:
        r"""What `rabbitmqctl --silent ARGUMENTS` prints: rows of columns separated by "\t", without a heading.

        Raises:
            Uncontrollable: the server was given by URL.
            ServiceError: the command failed, or took more than 30 s; with what it wrote.
        """
        return self._control.run(["rabbitmqctl", "--silent", *arguments])

    def evaluate(self, expressions: str, **values: str) -> str:
        r"""What Erlang *expressions* print within the server, and on the last line what the last of them returned.

        Args:
            expressions: separated by commas, with a full stop at the end.
            values: binaries for the `{names}` in them; where there are none, nothing is replaced.

        Raises:
            Uncontrollable, ServiceError: as for :meth:`ctl`.
        """
        if values:
            expressions = expressions.format(**{name: _binary(value) for name, value in values.items()})
        return self._control.run([*self._evaluator, expressions])

    def messages(self) -> dict[str, int]:
        """How many messages each queue has just now, be they ready or unacked.

        Raises:
            Uncontrollable, ServiceError: as for :meth:`ctl`.
        """
        return self._counts(_MESSAGES)

    def unacked(self) -> dict[str, int]:
        """How many messages of each queue are delivered and not acked; of quorum queues this may be seconds old.

        Raises:
            Uncontrollable, ServiceError: as for :meth:`ctl`.
        """
        return self._counts(_UNACKED)

    @contextmanager
    def user(self, name: str, *, configure: str, write: str, read: str) -> Iterator[str]:
        """A further user for the block, that may do what these patterns match; gives the URL to connect with.

        Raises:
            Uncontrollable, ServiceError: as for :meth:`ctl`.
        """
        self.evaluate(_ADD_USER, user=name, password=PASSWORD, configure=configure, write=write, read=read)
        try:
            yield self.url.replace("guest:guest", f"{name}:{PASSWORD}")
        finally:
            self.evaluate(_DELETE_USER, user=name)

    @contextmanager
    def policy(self, pattern: str, definition: str) -> Iterator[None]:
        """A policy for the block, with *definition*, which is JSON, for the queues whose names match *pattern*.

        Raises:
            Uncontrollable, ServiceError: as for :meth:`ctl`.
        """
        self.evaluate(_SET_POLICY, name=pattern, pattern=pattern, definition=definition)
        try:
            yield
        finally:
            self.evaluate(_CLEAR_POLICY, name=pattern)

    def _counts(self, expressions: str) -> dict[str, int]:
        rows = (line.split("\t") for line in self.evaluate(expressions).splitlines() if "\t" in line)
        return {name: int(count) for name, count in rows}

    def _tls(self) -> Certificates:
        if self._certificates is None:
            raise ServiceError("RabbitMQ: this one has no amqps port; ask for rabbitmq(tls=True)")
        return self._certificates

    def _ask_version(self) -> str:
        return rabbitmq_version(self.url)


def _binary(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'<<"{escaped}">>'
