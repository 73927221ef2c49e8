import pytest

from actors.health.address import split


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        (":8081", ("", 8081)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("pod.shop:65535", ("pod.shop", 65535)),
        ("[::]:8081", ("::", 8081)),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, parts: tuple[str, int]) -> None:
    assert split(address) == parts


@pytest.mark.parametrize("address", ["8081", "host", "host:", ":65536", "::1:80", "http://host:80", ":80/live", ":٨"])
def test_anything_else_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ValueError, match=r"is no HOST:PORT; write one such as :8081"):
        split(address)
