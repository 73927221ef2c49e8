from collections.abc import Mapping

from services.certificates import Certificates

# A full disk is the machine's trouble: it must not block the tests' publishers.
ALWAYS: Mapping[str, str] = {"disk_free_limit.absolute": "1MB"}


def tls_listener(address: str, certificates: Certificates) -> dict[str, str]:
    """The settings of an amqps port at *address* that takes clients with a certificate, and those without."""
    return {
        "listeners.ssl.default": address,
        "ssl_options.cacertfile": str(certificates.ca),
        "ssl_options.certfile": str(certificates.server_cert),
        "ssl_options.keyfile": str(certificates.server_key),
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "false",
    }


def conf(*settings: Mapping[str, str]) -> str:
    """The text of a rabbitmq.conf; of a key given twice the later value holds."""
    merged = {key: value for part in (ALWAYS, *settings) for key, value in part.items()}
    return "".join(f"{key} = {value}\n" for key, value in merged.items())
