"""What is exported is what is put back, whatever it is."""

from hypothesis import given
from hypothesis import strategies as st

from actors.brokers.buried import Buried, bury, expires
from actors.brokers.topology import Queue
from actors.dead_letters import line_of, read_line
from middleware import Letter

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.integers(0, 2**63 - 1)
letters = st.builds(
    Letter,
    id=texts.filter(bool),
    message_id=texts,
    queue=texts.filter(bool),
    reason=texts,
    error_type=texts,
    error=texts,
    fingerprint=texts,
    died=times,
    actor=texts,
    key=texts,
    attempts=st.integers(0, 2**31),
    replays=st.integers(0, 2**31),
    enqueued=times,
    first=times,
    worker=texts,
    version=texts,
)


@given(letters, st.binary(max_size=50) | texts.map(str.encode), st.none() | st.integers(1, 2**32 - 1))
def test_a_letter_comes_back_from_its_line(letter: Letter, body: bytes, retention_ms: int | None) -> None:
    properties = bury(Queue("default.XQ"), body, letter, retention_ms=retention_ms).properties
    archived = read_line(line_of(Buried(letter.queue, "default.XQ", letter, properties, body, lambda: None)))
    assert (archived.letter, archived.body, archived.expires) == (letter, body, expires(properties, letter))
