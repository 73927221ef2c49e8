"""Reads the pages that benchmarks write."""

import re


def tables(markdown: str) -> list[dict[str, dict[str, str]]]:
    """The tables of a page: the cells of each row by column, by the row's first cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        heading, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append({line[0]: dict(zip(heading[1:], line[1:], strict=True)) for line in lines})
    return found
