import socket

import pika
import pika.exceptions
import pika.frame

from services.errors import NotReady

SECONDS = 5.0


def rabbitmq_version(url: str) -> str:
    """The version that the server of *url* states, after a complete AMQP handshake.

    Raises:
        NotReady: there was no handshake within 5 s a step; with the reason.
    """
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = SECONDS
    try:
        # pika logs an attempt that fails as an error: it only gets to see a server that greets.
        version = _greeted_version(parameters)
        pika.BlockingConnection(parameters).close()
    except (OSError, pika.exceptions.AMQPError) as error:
        raise NotReady(repr(error)) from error
    return version


def _greeted_version(parameters: pika.ConnectionParameters) -> str:
    with socket.create_connection((parameters.host, parameters.port), timeout=SECONDS) as connection:
        if tls := parameters.ssl_options:
            connection = tls.context.wrap_socket(connection, server_hostname=tls.server_hostname or parameters.host)
        connection.sendall(pika.frame.ProtocolHeader().marshal())
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
            _, frame = pika.frame.decode_frame(received)
            if frame is not None:
                return str(frame.method.server_properties["version"])
    raise ConnectionError("the server closed the connection without a greeting")
