"""The machine's own RabbitMQ, run as a node that shares nothing with any other."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.broker import RABBITMQCTL_EVAL, RabbitMQ
from services.certificates import make_certificates
from services.deadline import until
from services.errors import ServiceError
from services.ports import accepts, free_port
from services.process import PrivateProcess
from services.rabbitmq_conf import conf, tls_listener
from services.warden import Warden

# The scripts themselves before any wrapper on PATH: Debian's becomes the user
# `rabbitmq` when root, and refuses everyone else.
HOMES = ("/usr/lib/rabbitmq/lib", "/opt", "/opt/homebrew/opt", "/usr/local/opt")

SERVER = "rabbitmq-server"

# A small C program that comes with Erlang and asks a node in milliseconds. It ends with 0 even where it tells an error.
ERL_CALL = """
told=$(printf '%s\\n' "$1" | erl_call -sname "$0" -fetch_stdout -e) || exit
printf '%s\\n' "$told"
case "$told" in *"{error, "*) exit 1 ;; esac
"""
EPMD_SECONDS = 10.0

# Two schedulers leave the tests a share of a large machine, and do not spin while they wait; only this machine may
# speak to the node.
ERLANG_FLAGS = (
    "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none +B i -noinput -kernel inet_dist_use_interface {127,0,0,1}"
)


def scripts() -> Path | None:
    """The folder of rabbitmq-server and rabbitmqctl; None where they, or Erlang's epmd, are not installed."""
    if shutil.which("epmd") is None:
        return None
    for home in map(Path, HOMES):
        if found := sorted(home.glob(f"rabbitmq*/sbin/{SERVER}")):
            return found[-1].parent
    on_path = shutil.which(SERVER)
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def private_rabbitmq(config: Mapping[str, str], *, tls: bool) -> Iterator[RabbitMQ]:
    """A node that is not started yet; killed, and its data removed, at the end of the block.

    Raises:
        ServiceError: RabbitMQ is not installed, or the certificates cannot be made.
    """
    sbin = scripts()
    if sbin is None:
        raise ServiceError("RabbitMQ: rabbitmq-server or epmd is not installed")
    port, tls_port, epmd_port = free_port(), free_port(), free_port()
    with Warden("rabbitmq") as warden:
        certificates = make_certificates(warden.folder / "tls") if tls else None
        own = {"listeners.tcp.default": f"127.0.0.1:{port}", "log.console": "true", "log.file": "false"}
        amqps = tls_listener(f"127.0.0.1:{tls_port}", certificates) if certificates else {}
        (warden.folder / "rabbitmq.conf").write_text(conf(own, amqps, config))
        (warden.folder / "enabled_plugins").write_text("[].\n")
        env = _environment(warden.folder, sbin, epmd_port)
        with _port_mapper(warden, epmd_port), PrivateProcess(warden, "rabbitmq", [str(sbin / SERVER)], env) as node:
            yield RabbitMQ(
                f"amqp://guest:guest@127.0.0.1:{port}/",
                node,
                tls_url=f"amqps://guest:guest@localhost:{tls_port}/",
                certificates=certificates,
                evaluator=_evaluator(env["RABBITMQ_NODENAME"]),
            )


def _evaluator(node: str) -> Sequence[str]:
    return RABBITMQCTL_EVAL if shutil.which("erl_call") is None else ("/bin/sh", "-c", ERL_CALL, node)


@contextmanager
def _port_mapper(warden: Warden, port: int) -> Iterator[None]:
    command = ["epmd", "-address", "127.0.0.1", "-port", str(port)]
    with PrivateProcess(warden, "epmd", command, os.environ) as epmd:
        epmd.start()
        # A node that finds no epmd starts one itself, as a daemon that would outlive us.
        until(lambda: accepts(port), seconds=EPMD_SECONDS, what="Erlang's port mapper, epmd")
        yield


def _environment(folder: Path, sbin: Path, epmd_port: int) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
    return inherited | {
        "PATH": f"{sbin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),  # for the Erlang cookie, which is made there
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": os.devnull,
        # The script then becomes the server, instead of waiting beside it.
        "RABBITMQ_ALLOW_INPUT": "true",
        "RABBITMQ_SCRIPTS_DIR": str(_without_plugins(folder / "home", sbin)),
        "RABBITMQ_NODENAME": f"{folder.name}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_FLAGS,
    }


def _without_plugins(home: Path, sbin: Path) -> Path:
    """A copy of RabbitMQ's home, made of links, that lacks the optional plugins; returns its script folder.

    Erlang looks for each module in the folder of every plugin in turn. Without
    the 40 that are never enabled here a start takes 2.6 s instead of 4.3 s.
    """
    original = sbin.parent
    if not (original / "plugins").is_dir():
        return sbin
    (home / "plugins").mkdir(parents=True)
    for entry in original.iterdir():
        if entry.name != "plugins":
            (home / entry.name).symlink_to(entry)
    for plugin in (original / "plugins").iterdir():
        if plugin.name.startswith("rabbitmq_prelaunch") or not plugin.name.startswith("rabbitmq_"):
            (home / "plugins" / plugin.name).symlink_to(plugin)
    return home / sbin.name
