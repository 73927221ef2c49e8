"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

_MODULES_HELP = "A module of actors; repeatable. Default: ACTORS_MODULES."

Modules = Annotated[list[str] | None, typer.Argument(help=_MODULES_HELP, show_default=False)]
MoreModules = Annotated[
    list[str] | None, typer.Option("--module", "-m", help=_MODULES_HELP, metavar="MODULE", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
TimeoutS = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long RabbitMQ, or Redis, may take to answer."),
]
Name = Annotated[str, typer.Argument(help="The actor's name.", metavar="NAME", show_default=False)]
Args = Annotated[str, typer.Option("--args", metavar="JSON", help="Positional arguments: '[42, \"EUR\"]'.")]
Kwargs = Annotated[str, typer.Option("--kwargs", metavar="JSON", help="Keyword arguments: '{\"order_id\": 42}'.")]

DEFAULT_TIMEOUT_S = 10.0
