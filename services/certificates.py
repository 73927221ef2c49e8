import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.errors import ServiceError

DAYS = "2"


@dataclass(frozen=True)
class Certificates:
    """A certificate authority, and a server and a client that it vouches for; PEM files, keys unencrypted."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path

    @classmethod
    def within(cls, folder: Path) -> Self:
        """The certificates whose files lie in *folder*, under their usual names."""
        names = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
        return cls(*(folder / name for name in names))


def make_certificates(folder: Path) -> Certificates:
    """Make a throw-away authority in *folder*, and a server named localhost and 127.0.0.1; all valid for two days.

    Raises:
        ServiceError: there is no `openssl` command, or it failed; with what it wrote.
    """
    if shutil.which("openssl") is None:
        raise ServiceError("TLS: the certificates are made with the openssl command; install openssl")
    folder.mkdir()
    made = Certificates.within(folder)
    authority = _new_key(folder / "ca.key", "actors tests")
    _openssl("req", "-x509", *authority, "-addext", "keyUsage=critical,keyCertSign", "-days", DAYS, "-out", made.ca)
    server_names = "subjectAltName = DNS:localhost, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n"
    _sign(folder, made.server_cert, made.server_key, server_names)
    _sign(folder, made.client_cert, made.client_key, "extendedKeyUsage = clientAuth\n")
    return made


def _sign(folder: Path, cert: Path, key: Path, extensions: str) -> None:
    request, extension_file = cert.with_suffix(".csr"), cert.with_suffix(".ext")
    extension_file.write_text(extensions)
    _openssl("req", *_new_key(key, cert.stem), "-out", request)
    authority = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial")
    _openssl("x509", "-req", "-in", request, *authority, "-extfile", extension_file, "-days", DAYS, "-out", cert)


def _new_key(key: Path, name: str) -> tuple[str | Path, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"/CN={name}")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise ServiceError(f"openssl {arguments[0]}: exit status {done.returncode}\n{done.stderr}")
