"""Asks over HTTP."""

from http.client import HTTPConnection


def ask(port: int, path: str) -> tuple[int, str]:
    """The status of the answer, and what it says; 0 where none comes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
