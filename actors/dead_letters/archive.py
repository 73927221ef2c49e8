"""Dead letters as lines of JSON, from which they can be put back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.dead_letters.buried import Buried
from middleware import Letter

VERSION = 1
# The largest integer that RabbitMQ has, and SQLite.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Archived:
    """A dead letter in an archive.

    Attributes:
        letter: what is said of it.
        body: its message, byte for byte.
        expires: when it would have been dropped, in milliseconds since the Unix epoch; None for never.
    """

    letter: Letter
    body: bytes
    expires: int | None


class BadLine(ValueError):
    """A line of an archive is none."""


def line_of(buried: Buried) -> str:
    """Return *buried* as a line, without its end: plain ASCII, its body as text where it is UTF-8."""
    fields = {
        "version": VERSION,
        "letter": buried.letter.header(),
        "expires": buried.expires,
        **_written(buried.body),
        # For people; an import does not look at it.
        "found": {"queue": buried.found_in, **buried.found},
    }
    return json.dumps(fields, default=str)


def read_line(line: str | bytes) -> Archived:
    """Return the dead letter that *line* was made of.

    Raises:
        BadLine: it was made of none.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"it is not JSON: {error}") from None
    if not isinstance(fields, Mapping):
        raise BadLine("it is not a JSON object")
    if fields.get("version") != VERSION:
        raise BadLine(f"its version is {fields.get('version')!r}, and only {VERSION} is known here")
    letter = Letter.from_header(fields.get("letter"))
    if letter is None or not letter.id or not letter.queue or not _is_storable(letter):
        raise BadLine("its 'letter' is not what is said of a dead letter")
    expires = fields.get("expires")
    if expires is not None and type(expires) is not int:
        raise BadLine("its 'expires' is neither null nor a number of milliseconds")
    return Archived(letter, _read(fields), expires)


def _is_storable(letter: Letter) -> bool:
    """Return whether *letter*, which somebody may have written by hand, has only what a queue can have."""
    values = letter.header().values()
    try:
        "".join(value for value in values if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        return False
    return all(abs(value) <= _LARGEST for value in values if isinstance(value, int))


def _written(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _read(fields: Mapping[str, Any]) -> bytes:
    text, encoded = fields.get("body"), fields.get("body_base64")
    try:
        if isinstance(text, str) and encoded is None:
            return text.encode()
        if isinstance(encoded, str) and text is None:
            return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise BadLine(f"its body can't be read: {error}") from None
    raise BadLine("it has neither a 'body' nor a 'body_base64'")
