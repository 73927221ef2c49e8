from __future__ import annotations

from pathlib import Path

import pytest

from actors.brokers.nodes import Nodes, mask_password
from actors.errors import SettingsError


def test_each_node_of_a_cluster_has_parameters_of_its_own() -> None:
    nodes = Nodes(["amqp://user:p%2Fw@h1:5673/shop", "amqp://h2/"])

    first, second = nodes.parameters("publisher")

    assert (first.host, first.port, first.virtual_host) == ("h1", 5673, "shop")
    assert (first.credentials.username, first.credentials.password) == ("user", "p/w")
    assert (second.host, second.port, second.ssl_options) == ("h2", 5672, None)


def test_a_connection_shows_its_role_and_tries_once_with_our_timeouts() -> None:
    (parameters,) = Nodes(["amqp://h/"], heartbeat_s=7, connect_timeout_s=3).parameters("relay")

    assert parameters.client_properties == {"connection_name": "dramatiq-once relay"}
    assert parameters.connection_attempts == 1
    assert (parameters.heartbeat, parameters.socket_timeout, parameters.stack_timeout) == (7, 3, 6)


def test_what_a_url_says_goes_before_the_settings() -> None:
    url = "amqp://h/?heartbeat=99&socket_timeout=11&stack_timeout=12"

    (parameters,) = Nodes([url], heartbeat_s=7, connect_timeout_s=3).parameters("relay")

    assert (parameters.heartbeat, parameters.socket_timeout, parameters.stack_timeout) == (99, 11, 12)


def test_amqps_checks_the_servers_certificate_and_name() -> None:
    (parameters,) = Nodes(["amqps://h/"]).parameters("relay")

    assert parameters.port == 5671
    assert parameters.ssl_options.server_hostname == "h"
    assert parameters.ssl_options.context.check_hostname


def test_a_certificate_that_can_not_be_read_is_refused_by_its_setting(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")

    with pytest.raises(SettingsError, match=r"^ACTORS_BROKER_CA_FILE, .* can't be used \(.*ca\.pem, None, None\): "):
        Nodes(["amqps://h/"], ca_file=broken).parameters("relay")


def test_nodes_are_written_without_their_passwords() -> None:
    assert str(Nodes(["amqp://a:secret@h1/", "amqps://b@h2/"])) == "amqp://a:***@h1/, amqps://b@h2/"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("amqp://user:secret@h:5672/", "amqp://user:***@h:5672/"),
        ("amqp://user:sec%2Fret@h/", "amqp://user:***@h/"),
        ("amqp://user:sec/ret@h/", "amqp://user:***@h/"),
        ("amqp://user:sec@ret@h/", "amqp://user:***@h/"),
        ("amqp://user:se:cr:et@h/", "amqp://user:***@h/"),
        ("redis://:secret@h:6379/0", "redis://:***@h:6379/0"),
        ("user:secret@h:5672", "user:***@h:5672"),
        ("'user:secret@h'", "'user:***@h'"),
        ("('amqp://a:secret@h1/', 'amqp://b:secret@h2/')", "('amqp://a:***@h1/', 'amqp://b:***@h2/')"),
        ("amqp://user@h:5672/vhost", "amqp://user@h:5672/vhost"),
        ("amqp://h:5672/", "amqp://h:5672/"),
        ("no URL", "no URL"),
        ("", ""),
    ],
)
def test_a_password_is_masked_wherever_it_stands(text: str, masked: str) -> None:
    assert mask_password(text) == masked
