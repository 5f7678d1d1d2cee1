"""Updates of the Bot API as far as they are read: everything else in them is passed over unseen. Pure.

Own structs, because aiogram's types of the whole API cost a process 125 MiB and seconds of its start. The
tests hold every field against the installed aiogram.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]
"""Unix time, at most the year 9999."""


class User(msgspec.Struct):
    id: int
    is_bot: bool
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None


class Chat(msgspec.Struct):
    """Private ones have names, others a title."""

    id: int
    type: str
    title: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None


class Entity(msgspec.Struct):
    """``offset`` and ``length`` in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str | None = None


Entities = list[Entity] | None


class Quote(msgspec.Struct):
    text: str
    entities: Entities = None


class Button(msgspec.Struct):
    text: str
    url: str | None = None
    callback_data: str | None = None


class Keyboard(msgspec.Struct):
    inline_keyboard: list[list[Button]]


class DirectTopic(msgspec.Struct):
    topic_id: int


# ------------------------------------------------------------------ content


class File(msgspec.Struct):
    """Of any kind; each has only some of these. ``length`` is the side of a round video, ``duration``
    in seconds."""

    file_id: str
    file_unique_id: str
    file_name: str | None = None
    mime_type: str | None = None
    file_size: int | None = None
    width: int | None = None
    height: int | None = None
    length: int | None = None
    duration: int | None = None


class Sticker(File):
    emoji: str | None = None
    is_animated: bool = False
    is_video: bool = False


class PaidPart(msgspec.Struct):
    photo: list[File] | None = None
    video: File | None = None
    live_photo: File | None = None


class PaidMedia(msgspec.Struct):
    paid_media: list[PaidPart]


class Location(msgspec.Struct):
    latitude: float
    longitude: float


class Venue(msgspec.Struct):
    location: Location
    title: str
    address: str


class Contact(msgspec.Struct):
    phone_number: str
    first_name: str
    last_name: str | None = None
    user_id: int | None = None


class Dice(msgspec.Struct):
    emoji: str
    value: int


class PollOption(msgspec.Struct):
    text: str
    text_entities: Entities = None


class Poll(msgspec.Struct):
    question: str
    options: list[PollOption]
    question_entities: Entities = None
    description: str | None = None


class Task(msgspec.Struct):
    text: str
    text_entities: Entities = None
    completion_date: int | None = None


class Checklist(msgspec.Struct):
    title: str
    tasks: list[Task]
    title_entities: Entities = None


class RichMessage(msgspec.Struct):
    """Blocks within blocks, of ever more kinds: read by the names of their fields."""

    blocks: list[Any]


class Titled(msgspec.Struct):
    """A game, an invoice."""

    title: str
    description: str


class Gift(msgspec.Struct):
    text: str | None = None
    entities: Entities = None


class Giveaway(msgspec.Struct):
    prize_description: str | None = None


class Story(msgspec.Struct):
    chat: Chat


class SharedUser(msgspec.Struct):
    first_name: str | None = None
    last_name: str | None = None


class SharedUsers(msgspec.Struct):
    users: list[SharedUser]


class SharedChat(msgspec.Struct):
    title: str | None = None


class WebAppData(msgspec.Struct):
    data: str
    button_text: str


# ------------------------------------------------------------------ where something was taken from


class FromUser(msgspec.Struct, tag_field="type", tag="user"):
    sender_user: User


class FromHidden(msgspec.Struct, tag_field="type", tag="hidden_user"):
    sender_user_name: str


class FromChat(msgspec.Struct, tag_field="type", tag="chat"):
    sender_chat: Chat


class FromChannel(msgspec.Struct, tag_field="type", tag="channel"):
    chat: Chat


Origin = FromUser | FromHidden | FromChat | FromChannel


class ExternalReply(msgspec.Struct):
    """A message of another chat that was answered to; behind these what it can have held, of which only
    the names are told."""

    origin: Origin
    chat: Chat | None = None
    animation: Any = None
    audio: Any = None
    document: Any = None
    live_photo: Any = None
    paid_media: Any = None
    photo: Any = None
    sticker: Any = None
    story: Any = None
    video: Any = None
    video_note: Any = None
    voice: Any = None
    checklist: Any = None
    contact: Any = None
    dice: Any = None
    game: Any = None
    giveaway: Any = None
    giveaway_winners: Any = None
    invoice: Any = None
    location: Any = None
    poll: Any = None
    venue: Any = None


# ------------------------------------------------------------------ messages


class Message(msgspec.Struct, kw_only=True):
    """One that can no longer be read (under an old button) has date 0."""

    message_id: int
    date: Seconds
    chat: Chat
    from_user: User | None = field(default=None, name="from")
    sender_chat: Chat | None = None
    message_thread_id: int | None = None
    is_topic_message: bool | None = None
    direct_messages_topic: DirectTopic | None = None
    business_connection_id: str | None = None
    edit_date: Seconds | None = None
    media_group_id: str | None = None
    migrate_to_chat_id: int | None = None
    forum_topic_created: dict[str, Any] | None = None

    forward_origin: Origin | None = None
    reply_to_message: Message | None = None
    external_reply: ExternalReply | None = None
    quote: Quote | None = None
    reply_to_story: Story | None = None
    reply_markup: Keyboard | None = None

    text: str | None = None
    entities: Entities = None
    caption: str | None = None
    caption_entities: Entities = None

    animation: File | None = None
    audio: File | None = None
    document: File | None = None
    live_photo: File | None = None
    photo: list[File] | None = None
    sticker: Sticker | None = None
    video: File | None = None
    video_note: File | None = None
    voice: File | None = None
    paid_media: PaidMedia | None = None
    contact: Contact | None = None
    dice: Dice | None = None
    location: Location | None = None
    venue: Venue | None = None
    poll: Poll | None = None
    checklist: Checklist | None = None
    rich_message: RichMessage | None = None
    game: Titled | None = None
    invoice: Titled | None = None
    gift: Gift | None = None
    unique_gift: Gift | None = None
    gift_upgrade_sent: Gift | None = None
    giveaway: Giveaway | None = None
    story: Story | None = None
    users_shared: SharedUsers | None = None
    chat_shared: SharedChat | None = None
    web_app_data: WebAppData | None = None


# ------------------------------------------------------------------ everything else


class Deleted(msgspec.Struct):
    business_connection_id: str
    chat: Chat
    message_ids: list[int]


class Emoji(msgspec.Struct, tag_field="type", tag="emoji"):
    emoji: str


class CustomEmoji(msgspec.Struct, tag_field="type", tag="custom_emoji"):
    pass


class PaidEmoji(msgspec.Struct, tag_field="type", tag="paid"):
    pass


class Reaction(msgspec.Struct):
    chat: Chat
    message_id: int
    new_reaction: list[Emoji | CustomEmoji | PaidEmoji]
    user: User | None = None
    actor_chat: Chat | None = None


class Press(msgspec.Struct):
    """Of a button."""

    from_user: User = field(name="from")
    message: Message | None = None
    data: str | None = None


class Member(msgspec.Struct):
    status: Literal["creator", "administrator", "member", "restricted", "left", "kicked"]
    can_send_messages: bool = False


class MemberChange(msgspec.Struct):
    chat: Chat
    from_user: User = field(name="from")
    new_chat_member: Member


class Update(msgspec.Struct):
    """One of these, or a kind that was not asked for."""

    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    business_message: Message | None = None
    edited_business_message: Message | None = None
    deleted_business_messages: Deleted | None = None
    message_reaction: Reaction | None = None
    callback_query: Press | None = None
    my_chat_member: MemberChange | None = None
