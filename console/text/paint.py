"""Messages as lines of styled text: the one place where a conversation becomes something to see.

Everything that came from outside passes ``crm.kernel.text`` here again, whatever was done to it before,
and becomes plain spans that nothing parses as markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import tzinfo

from rich.cells import cell_len

from console.model import Echo
from console.text.words import Words, hour, size
from console.text.wrap import Span, fit, wrap
from crm.kernel.records import Media, Message
from crm.kernel.text import clean, one_line
from router.wire.protocol import MAX_TEXT

Line = list[Span]

TICKS = {
    "queued": "·", "sent": "✓", "delivered": "✓✓", "read": "✓✓•", "failed": "!", "unknown": "?", "unsent": "⋯",
}  # fmt: skip
"""Each state has its own mark, so no state is told by colour alone."""
TIME, NAME, TICK = 7, 11, 4
NARROW = 54
"""Cells under which the name goes above the text instead of beside it."""
_LINK = re.compile(r"https?://[!-~]+[^\s.,;:!?)\]}'\"]")
BAD = ("failed", "unknown")


@dataclass(frozen=True)
class Brush:
    """What painting needs to know: language, zone, width in cells, and who is who."""

    words: Words
    zone: tzinfo | None
    width: int
    operator: str
    customer: str
    discarded: frozenset[str] = frozenset()

    @property
    def stacked(self) -> bool:
        return self.width < NARROW

    @property
    def body(self) -> int:
        """Cells left for the text."""
        return self.width - TICK - (2 if self.stacked else TIME + NAME)


def message_lines(brush: Brush, messages: list[Message]) -> list[Line]:
    """One message, the messages of one album, or offers that nobody took one after the other, as lines."""
    first = messages[0]
    if first.direction == "system":
        return _system(brush, messages)
    style = {"in": "in", "out": "out", "note": "note", "whisper": "whisper"}[first.direction]
    body: list[Line] = []
    if first.reply_to or first.reply_text:
        body.append([("quote", fit("▏" + one_line(first.reply_text or "…"), brush.body).rstrip())])
    for message in messages:
        body.extend(_content(brush, message, style))
    body.extend(_reactions(brush, messages))
    last = messages[-1]
    delivery = last.delivery if last.direction == "out" else ""
    if delivery in BAD and last.id not in brush.discarded:
        body.extend(_trouble(brush, last))
    return _framed(brush, first.at, _sender(brush, first), style, body, delivery)


def echo_lines(brush: Brush, echo: Echo) -> list[Line]:
    """A reply that is still on its way to the desk."""
    style = "out" if echo.kind == "reply" else echo.kind
    name = brush.words("thread.you" if echo.kind == "reply" else f"thread.{echo.kind}")
    body: list[Line] = [[("media", f"[{one_line(file)}]")] for file in echo.files]
    if echo.text:
        body.extend([(style, line)] for line in wrap(clean(echo.text, MAX_TEXT), brush.body))
    return _framed(brush, echo.at, name, style, body, "unknown" if echo.unknown else "unsent")


def _sender(brush: Brush, message: Message) -> str:
    if message.direction == "in":
        return brush.customer.split(" ")[0]
    if message.direction in ("note", "whisper"):
        return brush.words("thread." + message.direction)
    return (
        brush.words("thread.you") if message.author == brush.operator else author_name(brush.words, message)
    )


def author_name(words: Words, message: Message) -> str:
    """Who wrote what is not the customer's: a colleague, a scripted bot, or the desk itself."""
    if not message.author:
        return words("thread.desk")
    if message.author.startswith("bot:"):
        return words("thread.bot", name=one_line(message.author.removeprefix("bot:")))
    return one_line(message.author)


def _content(brush: Brush, message: Message, style: str) -> list[Line]:
    lines: list[Line] = [_media(brush, media) for media in message.media]
    text = clean(message.text, MAX_TEXT)
    if message.kind == "unsupported":
        lines.append([("mark", brush.words("kind.unsupported"))])
    if message.kind == "button":
        text = "▸ " + text
    if message.deleted_at:
        style = "deleted"
    if text:
        lines.extend(_text(line, style) for line in wrap(text, brush.body))
    lines.extend(_buttons(brush, message))
    lines.extend(_failed_edit(brush, message))
    marks = _marks(brush, message)
    if marks:
        _append_mark(lines, marks, brush.body)
    return lines or [[(style, "")]]


def _marks(brush: Brush, message: Message) -> str:
    """Words after the text: who wrote a note, edited, deleted."""
    words = brush.words
    marks = []
    if message.direction in ("note", "whisper") and message.author != brush.operator:
        marks.append(one_line(message.author))
    if message.edited_at:
        marks.append(words("thread.edited"))
    if message.edit_delivery == "unknown":
        marks.append("? " + words("thread.edit_unknown"))
    if message.deleted_at:
        marks.append(words("thread.deleted"))
    return f"({', '.join(marks)})" if marks else ""


def _failed_edit(brush: Brush, message: Message) -> list[Line]:
    """The newest correction, where the channel did not take it: the text above is what the customer sees."""
    if not message.versions or message.versions[-1].delivery != "failed":
        return []
    failed = message.versions[-1]
    why = f" ({one_line(failed.error, 80)})" if failed.error else ""
    text = f"! {brush.words('thread.edit_failed')}{why}: {one_line(failed.text, 200)}"
    return [[("failed", line)] for line in wrap(text, brush.body)]


def _append_mark(lines: list[Line], mark: str, width: int) -> None:
    if lines and sum(cell_len(text) for _, text in lines[-1]) + 1 + cell_len(mark) <= width:
        lines[-1].append(("mark", " " + mark))
    else:
        lines.append([("mark", mark)])


def _text(line: str, style: str) -> Line:
    """A line of text; links in it carry their address in the style, for a terminal hyperlink."""
    if "http" not in line or style == "deleted":
        return [(style, line)]
    spans: Line = []
    end = 0
    for found in _LINK.finditer(line):
        if found.start() > end:
            spans.append((style, line[end : found.start()]))
        spans.append((f"link {found.group()}", found.group()))
        end = found.end()
    if end < len(line):
        spans.append((style, line[end:]))
    return spans


def media_label(words: Words, media: Media) -> str:
    """An attachment in a line: ``[photo 1280×960 212 kB]``."""
    parts = [words.maybe(f"kind.{media.kind}", media.kind)]
    if media.name:
        parts.append(one_line(media.name, 60))
    if media.phone:
        parts.append(one_line(media.phone, 30))
    if media.width and media.height:
        parts.append(f"{media.width}×{media.height}")
    if media.duration:
        parts.append(words.span(media.duration * 1000))
    if media.kind == "location":
        parts.append(f"{media.latitude:.5f}, {media.longitude:.5f}")
    if media.size:
        parts.append(size(media.size))
    return f"[{' '.join(parts)}]"


def _media(brush: Brush, media: Media) -> Line:
    spans: Line = [("media", fit(media_label(brush.words, media), brush.body).rstrip())]
    if media.error:
        spans.append(("failed", " ! " + brush.words("thread.media_error")))
    return spans


def _buttons(brush: Brush, message: Message) -> list[Line]:
    if not message.buttons:
        return []
    labels = "  ".join(f"⟦{one_line(button.text, 40)}⟧" for button in message.buttons)
    return [[("media", line)] for line in wrap(labels, brush.body)]


def _reactions(brush: Brush, messages: list[Message]) -> list[Line]:
    lines: list[Line] = []
    for message in messages:
        if message.reactions:
            parts = [
                " ".join(one_line(e, 8) for e in emoji) + " " + _reactor(brush, message, author)
                for author, emoji in message.reactions.items()
            ]
            lines.extend([("mark", line)] for line in wrap("  ".join(parts), brush.body))
    return lines


def _reactor(brush: Brush, message: Message, author: str) -> str:
    if author == brush.operator:
        return brush.words("thread.you")
    return brush.customer.split(" ")[0] if message.direction == "out" else one_line(author, 20)


def _trouble(brush: Brush, message: Message) -> list[Line]:
    words = brush.words
    text = words("thread.failed" if message.delivery == "failed" else "thread.unknown")
    if message.error:
        text = f"{text} ({one_line(message.error, 120)})"
    return [[("failed", line)] for line in wrap(f"{text} {words('thread.retry')}", brush.body)]


def _framed(brush: Brush, at: int, name: str, style: str, body: list[Line], delivery: str) -> list[Line]:
    """Time and name before the body (above it when narrow), the tick at the end of the last line."""
    time = hour(at, brush.zone)
    lines: list[Line] = []
    if brush.stacked:
        lines.append([("time", time + "  "), (f"name-{style}", fit(name, brush.width - 9).rstrip())])
    for number, spans in enumerate(body):
        if brush.stacked:
            head: Line = [("time", "  ")]
        elif number == 0:
            head = [("time", fit(time, TIME)), (f"name-{style}", fit(name, NAME - 1) + " ")]
        else:
            head = [("time", " " * (TIME + NAME))]
        lines.append(head + spans)
    if delivery:
        used = sum(cell_len(text) for _, text in lines[-1])
        tick = TICKS.get(delivery, "")
        room = max(1, brush.width - 1 - used - len(tick))
        lines[-1] += [("time", " " * room), (delivery if delivery in (*BAD, "read") else "tick", tick)]
    return lines


def is_missed(message: Message) -> bool:
    """A line of the desk's about an offer that was not taken in time."""
    return message.text.removeprefix("system.").startswith("missed|")


def _system(brush: Brush, messages: list[Message]) -> list[Line]:
    message = messages[0]
    text = system_text(brush.words, message.text)
    if len(messages) > 1:
        who = dict.fromkeys(_params(missed.text).get("operator", "…") for missed in messages)
        text = system_text(brush.words, f"missed|operator={', '.join(who)}") + f" ({len(messages)}×)"
    width = max(1, brush.width - TIME - 3)
    lines = wrap(text, width)
    time = fit(hour(message.at, brush.zone), TIME)
    return [
        [("time", time if n == 0 else " " * TIME), ("system", "· " + line)] for n, line in enumerate(lines)
    ]


def system_text(words: Words, text: str) -> str:
    """What the desk noted (``code|key=value|…``) in the operator's language."""
    code = clean(text).partition("|")[0]
    params = {"reason": "–"} | _params(text)
    return words.coded("system", one_line(code.removeprefix("system."), 60), params)


def _params(text: str) -> dict[str, str]:
    pairs = (pair.split("=", 1) for pair in clean(text).split("|")[1:] if "=" in pair)
    return {key: one_line(value, 200) for key, value in pairs}


def separator(text: str, width: int) -> list[Line]:
    """A centred line between days or sessions."""
    text = f"— {text} —"
    return [[("day", " " * max(0, (width - cell_len(text)) // 2) + text)]]
