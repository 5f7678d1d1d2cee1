"""Deliveries as Bot API calls: texts in parts, files in their kinds, no network."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram import methods
from hypothesis import given
from hypothesis import strategies as st

from bots.base import Rejected
from bots.telegram.send import calls, split_text, units
from crm.kernel.records import Button, Media
from crm.kernel.text import is_visible
from tests.bots.conftest import Bytes, delivery


def media(kind: Any, mime: str, name: str = "", size: int = 3) -> tuple[Media, Bytes]:
    return Media(kind=kind, mime=mime, name=name, key="k"), Bytes(b"x" * size)


PHOTO = media("photo", "image/jpeg")
PDF = media("document", "application/pdf", "a.pdf")


@given(st.text(st.characters(categories=["L", "Zs", "So", "Mn"], include_characters="\n😀"), max_size=300))
def test_parts_fit_and_lose_only_what_nobody_sees(text: str) -> None:
    parts = split_text(text, 20)
    assert all(0 < units(part) <= 20 for part in parts)
    assert list(filter(is_visible, "".join(parts))) == list(filter(is_visible, text))
    if all(map(is_visible, "".join(text.split()))):
        assert "".join("".join(parts).split()) == "".join(text.split())


def test_parts_are_cut_at_the_best_place() -> None:
    assert split_text("aaaa bbbb\n\ncccc dddd", 14) == ["aaaa bbbb", "cccc dddd"]
    assert split_text("aaaa bbbb\ncccc dddd", 14) == ["aaaa bbbb", "cccc dddd"]
    assert split_text("aaaaaaaa bbbbbbbb", 10) == ["aaaaaaaa", "bbbbbbbb"]
    assert split_text("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]


def test_astral_characters_count_twice() -> None:
    assert [len(part) for part in split_text("😀" * 5000)] == [2048, 2048, 904]
    assert len(split_text("я" * 4096)) == 1


def test_a_joined_emoji_is_not_torn() -> None:
    family = "👨‍👩‍👧"
    for part in split_text(family * 10, 21):
        assert part.replace(family, "") == ""


def test_a_long_text_quotes_with_its_first_part_and_has_buttons_on_its_last() -> None:
    one = delivery("d1", "-55/3", text="слово " * 1500, reply_to="9", buttons=[Button(text="Ha", data="yes")])
    planned: list[Any] = calls(one, [])
    assert len(planned) == 3
    assert all(isinstance(call, methods.SendMessage) for call in planned)
    assert [bool(call.reply_parameters) for call in planned] == [True, False, False]
    assert [bool(call.reply_markup) for call in planned] == [False, False, True]
    assert {(call.chat_id, call.message_thread_id) for call in planned} == {("-55", 3)}
    assert {call.parse_mode for call in planned} == {None}


@pytest.mark.parametrize(
    ("file", "method"),
    [
        (PHOTO, methods.SendPhoto),
        (media("photo", "image/jpeg", size=10 * 1024 * 1024 + 1), methods.SendDocument),
        (media("photo", "image/tiff"), methods.SendDocument),
        (media("document", "image/jpeg"), methods.SendDocument),
        (media("video", "video/mp4"), methods.SendVideo),
        (media("video", "video/x-msvideo"), methods.SendDocument),
        (media("voice", "audio/ogg"), methods.SendVoice),
        (media("audio", "audio/mpeg"), methods.SendAudio),
        (PDF, methods.SendDocument),
    ],
)
def test_a_file_goes_as_what_it_is(file: tuple[Media, Bytes], method: type) -> None:
    [call] = calls(delivery("d1", "55", text="see"), [file])
    assert type(call) is method
    assert getattr(call, "caption", None) == "see"


def test_a_caption_that_is_too_long_follows_as_text() -> None:
    photo, text = calls(delivery("d1", "55", text="x" * 1025), [PHOTO])
    assert isinstance(photo, methods.SendPhoto)
    assert photo.caption is None
    assert isinstance(text, methods.SendMessage)


def test_files_of_one_family_are_an_album() -> None:
    planned: list[Any] = calls(delivery("d1", "55", text="see"), [PHOTO, PHOTO, PDF, PDF, PHOTO])
    assert [type(call) for call in planned] == [
        methods.SendMediaGroup,
        methods.SendMediaGroup,
        methods.SendPhoto,
    ]
    assert [part.caption for part in planned[0].media] == ["see", None]
    assert planned[1].media[0].caption is None


def test_more_than_ten_files_are_several_albums() -> None:
    planned: list[Any] = calls(delivery("d1", "55", text=""), [PHOTO] * 12)
    assert [len(call.media) for call in planned] == [10, 2]


def test_an_album_with_buttons_is_followed_by_the_text_with_them() -> None:
    one = delivery("d1", "55", text="choose", buttons=[Button(text="A", data="a")])
    album, text = calls(one, [PHOTO, PHOTO])
    assert isinstance(album, methods.SendMediaGroup)
    assert isinstance(text, methods.SendMessage)
    assert text.reply_markup is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"\r\nX: y.pdf', "a___X_ y.pdf"),
        ("", "document.pdf"),
        ("..", "document.pdf"),
    ],
)
def test_a_file_name_can_break_nothing(name: str, expected: str) -> None:
    [call] = calls(delivery("d1", "55", text=""), [media("document", "application/pdf", name)])
    assert isinstance(call, methods.SendDocument)
    assert call.document.filename == expected  # type: ignore[union-attr]


def test_an_edit_goes_through_all_parts() -> None:
    one = delivery("d1", "55", action="edit", external_id="7 8 9", text="слово " * 1000)
    planned: list[Any] = calls(one, [])
    assert [(type(call), call.message_id) for call in planned] == [
        (methods.EditMessageText, 7),
        (methods.EditMessageText, 8),
        (methods.DeleteMessage, 9),
    ]


def test_a_deletion_takes_all_parts() -> None:
    planned: list[Any] = calls(delivery("d1", "55", action="delete", external_id="7 8"), [])
    assert [call.message_id for call in planned] == [7, 8]


@pytest.mark.parametrize(
    "one",
    [
        delivery("d1", "55", text="  "),
        delivery("d1", "55", action="edit", external_id="7", text="x" * 5000),
        delivery("d1", "55", action="edit", external_id="", text="x"),
        delivery("d1", "55", action="delete", external_id="x7"),
        delivery("d1", "55", buttons=[Button(text="A", data="я" * 33)]),
    ],
)
def test_what_cannot_be_sent_is_rejected_before_anything_leaves(one: Any) -> None:
    with pytest.raises(Rejected):
        calls(one, [])


def test_parts_in_which_nothing_can_be_seen_do_not_leave() -> None:
    blank = "\u200b\u3164"
    assert split_text("a" * 10 + blank * 10 + "bc", 10) == ["a" * 10, "bc"]
    assert split_text(blank * 50, 10) == []
    with pytest.raises(Rejected):
        calls(delivery("1", chat="5", text=blank), [])
    [photo] = calls(delivery("1", chat="5", text=blank), [PHOTO])
    assert isinstance(photo, methods.SendPhoto)
    assert photo.caption is None
