"""Servers' versions, such as ``3.10.8`` and ``4.1.0-rc.1``."""

from __future__ import annotations

import re


def is_older(version: str, needed: tuple[int, int]) -> bool:
    """Return whether *version* comes before *needed*, a major and a minor number."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    return tuple(numbers) < needed
