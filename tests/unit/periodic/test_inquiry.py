import pytest

from periodic.inquiry import Inquiry


def test_an_inquiry_is_what_it_was_after_its_way() -> None:
    inquiry = Inquiry("1", "pause", "ann@here", {"schedule": "日本"})
    assert Inquiry.decode(inquiry.encode()) == inquiry


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b'{"id": 1}', b'{"id": 1, "action": "pause", "fields": []}']
)
def test_what_is_no_inquiry_is_refused_with_what_it_is(body: bytes) -> None:
    with pytest.raises(ValueError, match="is no inquiry"):
        Inquiry.decode(body)


def test_what_a_later_version_adds_is_left_out() -> None:
    assert Inquiry.decode(b'{"id": "1", "action": "list", "urgent": true}') == Inquiry("1", "list")
