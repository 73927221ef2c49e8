import secrets
import socket

# Below every system's ephemeral range: no outgoing connection takes the port
# while its server is down, and none connects to itself there.
FIRST, LAST = 10_000, 32_000


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on, chosen at random so that parallel runs rarely meet."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with socket.socket() as probe:
            # As servers do, so that a port with old connections in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def accepts(port: int) -> bool:
    """Whether 127.0.0.1:*port* accepts a TCP connection within 1 s."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
