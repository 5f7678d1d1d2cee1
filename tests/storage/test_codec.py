"""Documents of messages and sessions are written by a faster encoder, which does not look for what they never hold."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.conversations.history import message_document
from crm.kernel.records import Media, Message
from router.desk.state import Session
from storage import codec

scalars = st.none() | st.booleans() | st.integers() | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(document=st.dictionaries(st.text(), values))
def test_a_plain_document_is_written_as_any_other(document: dict[str, Any]) -> None:
    assert codec.encode(document, plain=True) == codec.encode(document)


@given(latitude=st.floats(), text=st.text(st.characters()))
def test_a_message_is_read_back_the_same(latitude: float, text: str) -> None:
    message = Message(
        id="1-1", session="1", chat="bot:1", seq=1, direction="in", at=1, text=text,
        media=[Media(kind="location", latitude=latitude)],
    )  # fmt: skip
    document = message_document(message, customer="c", line="sales", channel="bot")
    assert codec.encode(document, plain=True) == codec.encode(document) or (
        codec.decode(codec.encode(document, plain=True)) == codec.decode(codec.encode(document))
    )


def test_only_the_raw_body_of_a_message_is_bytes() -> None:
    assert bytes_of(Session) == []
    assert bytes_of(Message) == ["raw"]


def bytes_of(record: type[msgspec.Struct]) -> list[str]:
    found = msgspec.inspect.type_info(record)
    assert isinstance(found, msgspec.inspect.StructType)
    return [f.name for f in found.fields if "BytesType" in repr(f.type) or "AnyType" in repr(f.type)]


def test_what_json_cannot_say_is_refused() -> None:
    for document in ({"a": [math.nan]}, {"a": {"b": math.inf}}, {"a": {1}}, {"a": object()}):
        with pytest.raises((TypeError, ValueError)):
            codec.encode(document)


def test_bytes_half_characters_and_large_numbers_are_kept() -> None:
    assert codec.decode(codec.encode({"a": [{"b": b"\x00\xff"}]})) == {"a": [{"b": b"\x00\xff"}]}
    for plain in (False, True):
        assert codec.encode({"a": "\ud800"}, plain=plain) == '{"a":"\ud800"}'
        assert codec.encode({"a": 1 << 70}, plain=plain) == f'{{"a":{1 << 70}}}'
