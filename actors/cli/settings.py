"""``actors settings``."""

from __future__ import annotations

from dataclasses import asdict

from actors.assembly import settings as read_settings
from actors.checks.settings import list_settings, text
from actors.cli.options import Json
from actors.cli.render import print_json, print_table


def settings(as_json: Json = False) -> None:
    """List every setting, its value, and who set it.

    These are the settings of the environment; what a module sets with configure() shows in actors check.
    """
    current = read_settings()
    found = list_settings(current, current)
    if as_json:
        print_json({"settings": list(map(asdict, found))})
    else:
        rows = ((each.variable, text(each.value), each.source, text(each.default), each.meaning) for each in found)
        print_table(("variable", "value", "source", "default", "meaning"), rows)
