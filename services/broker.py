from pathlib import Path

from services.certificates import Certificates
from services.control import Control
from services.errors import ServiceError
from services.handshake import rabbitmq_version
from services.service import Service

AMQP_PORT, AMQPS_PORT = 5672, 5671

# What `list_queues` says of a quorum queue may be five seconds old.
_COUNT = """
Count = fun(Queue) ->
  case amqqueue:get_type(Queue) of
    rabbit_quorum_queue ->
      {ok, {_, Total}, _} = ra:leader_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1),
      Total;
    _ -> proplists:get_value(messages, rabbit_amqqueue:info(Queue, [messages]))
  end
end,
[io:format("~s\\t~b~n", [element(4, amqqueue:get_name(Queue)), Count(Queue)]) || Queue <- rabbit_amqqueue:list()].
"""


class RabbitMQ(Service):
    """A RabbitMQ server: user guest, password guest, virtual host "/"; one given by URL, what the URL says."""

    def __init__(
        self, url: str, control: Control, *, tls_url: str = "", certificates: Certificates | None = None
    ) -> None:
        super().__init__(url, control)
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

    def messages(self) -> dict[str, int]:
        """How many messages each queue has just now, be they ready or unacked.

        Raises:
            Uncontrollable, ServiceError: as for :meth:`ctl`.
        """
        rows = (line.rsplit("\t", 1) for line in self.ctl("eval", _COUNT).splitlines() if "\t" in line)
        return {name: int(count) for name, count in rows}

    def _tls(self) -> Certificates:
        if self._certificates is None:
            raise ServiceError("RabbitMQ: this one has no amqps port; ask for rabbitmq(tls=True)")
        return self._certificates

    def _ask_version(self) -> str:
        return rabbitmq_version(self.url)
