"""What an edit and a download leave of a message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crm.kernel.records import Media, Message, MessageChange, apply_change


def message(**fields: Any) -> Message:
    given: dict[str, Any] = {"id": "1-1", "session": "1", "chat": "c", "seq": 1, "direction": "in", "at": 1}
    return Message(**(given | fields))


def change(**fields: Any) -> MessageChange:
    given: dict[str, Any] = {"at": 2, "chat": "c", "id": "1-1"}
    return MessageChange(**(given | fields))


STORED = Media(kind="photo", ref="h1", unique="u1", key="k1", mime="image/jpeg", size=9, width=3, height=3)
SAME = Media(kind="photo", ref="h2", unique="u1", mime="image/jpeg", size=9, width=3, height=3)
OTHER = Media(kind="photo", ref="h3", unique="u3", mime="image/jpeg", size=20, width=8, height=8)


def edited(one: Message, **fields: Any) -> Message:
    apply_change(one, change(**fields))
    return one


def test_an_edit_of_the_same_text_is_none() -> None:
    one = edited(message(text="see x.uz"), text="see x.uz", edited_at=50)
    assert (one.edited_at, one.versions) == (0, [])


def test_an_older_edit_that_comes_late_changes_nothing_even_after_one_that_changed_nothing() -> None:
    one = edited(message(text="a"), text="a", edited_at=50)
    edited(one, text="b", edited_at=40)
    assert (one.text, one.edited_at) == ("a", 0)
    edited(one, text="c", edited_at=60)
    assert (one.text, one.edited_at, [v.text for v in one.versions]) == ("c", 60, ["a"])


@pytest.mark.parametrize("new", [SAME, msgspec.structs.replace(SAME, unique=""), STORED])
def test_an_edit_keeps_the_file_that_we_have(new: Media) -> None:
    new = msgspec.structs.replace(new, key="")
    one = edited(message(text="a", media=[STORED]), text="a", media=[new], edited_at=50)
    assert (one.media[0].key, one.media[0].ref, one.edited_at) == ("k1", new.ref, 0)
    edited(one, text="b", media=[new], edited_at=51)
    assert (one.media[0].key, one.edited_at) == ("k1", 51)


def test_a_refused_download_keeps_the_file_that_we_have() -> None:
    one = edited(message(text="a", media=[STORED]), text="a", media=[SAME], edited_at=50)
    edited(one, media_index=0, media_file=msgspec.structs.replace(SAME, error="gone"))
    assert (one.media[0].key, one.media[0].error) == ("k1", "")
    edited(one, media_index=0, media_file=msgspec.structs.replace(SAME, key="k2"))
    assert one.media[0].key == "k2"


def test_another_file_takes_the_place_once_it_is_there() -> None:
    one = edited(message(text="a", media=[STORED]), text="a", media=[OTHER], edited_at=50)
    assert (one.media[0].key, one.media[0].size, one.edited_at) == ("k1", 9, 50)
    refused = edited(
        msgspec.structs.replace(one), media_index=0, media_file=msgspec.structs.replace(OTHER, error="20 MB")
    )
    assert (refused.media[0].key, refused.media[0].error) == ("k1", "20 MB")
    edited(one, media_index=0, media_file=msgspec.structs.replace(OTHER, key="k3"))
    assert (one.media[0].key, one.media[0].size) == ("k3", 20)


def test_a_download_of_an_older_file_that_comes_late_changes_nothing() -> None:
    one = edited(message(text="a", media=[STORED]), text="a", media=[OTHER], edited_at=50)
    edited(one, media_index=0, media_file=msgspec.structs.replace(STORED, key="k9"))
    assert one.media[0].key == "k1"


def test_the_first_download_is_what_the_message_has() -> None:
    fresh = msgspec.structs.replace(STORED, key="")
    one = edited(
        message(media=[fresh]), media_index=0, media_file=msgspec.structs.replace(fresh, error="gone")
    )
    assert one.media[0].error == "gone"
    edited(one, media_index=0, media_file=STORED)
    assert (one.media[0].key, one.media[0].error) == ("k1", "")


def test_a_place_that_moves_is_not_edited() -> None:
    there = Media(kind="location", latitude=1.0, longitude=2.0)
    one = edited(message(media=[there]), text="", media=[Media(kind="location", latitude=3.0)], edited_at=9)
    assert (one.media[0].latitude, one.edited_at) == (3.0, 0)


def test_a_file_that_is_added_or_taken_away_is_an_edit() -> None:
    assert edited(message(text="a"), text="a", media=[OTHER], edited_at=9).edited_at == 9
    assert edited(message(text="a", media=[STORED]), text="a", media=[], edited_at=9).edited_at == 9
    assert edited(message(text="a", media=[STORED]), text="a", edited_at=9).edited_at == 0
