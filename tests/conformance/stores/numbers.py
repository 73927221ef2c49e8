"""A table of numbers: the least that can be kept in a file."""

from middleware.stores.sqlite import SqliteFile

SCHEMA = ["CREATE TABLE IF NOT EXISTS actors_numbers (number INTEGER PRIMARY KEY)"]


def add(file: SqliteFile, *numbers: int) -> None:
    with file.write() as connection:
        connection.executemany("INSERT INTO actors_numbers VALUES (?)", [(number,) for number in numbers])


def numbers(file: SqliteFile) -> list[int]:
    with file.read() as connection:
        return [number for (number,) in connection.execute("SELECT number FROM actors_numbers ORDER BY number")]
