"""The JSON that commands print: stable shapes, times in RFC 3339 UTC with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from crm.kernel.records import Message
from router.wire.protocol import Card, DecisionView, DeskEvent, SessionView, SetAsideView, StatusReport

_TIMES = frozenset({"at", "arrival", "waiting_since", "oldest", "offer_until", "duty_since", "pause_until"})


def rfc3339(ms: int) -> str | None:
    """``2026-03-02T09:00:00.000Z``; None for a time that is not set."""
    if not ms:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session(view: SessionView) -> dict[str, Any]:
    """``holder`` and times that are not set are null."""
    return {
        "id": view.id,
        "chat": view.chat,
        "channel": view.channel,
        "kind": view.kind,
        "line": view.line,
        "status": view.status,
        "holder": view.holder or None,
        "customer": view.customer,
        "priority": view.priority,
        "opened_at": rfc3339(view.opened_at),
        "first_answer_at": rfc3339(view.first_answer_at),
        "closed_at": rfc3339(view.closed_at),
        "unread": view.unread,
        "name": view.name,
        "waiting_since": rfc3339(view.waiting_since),
        "offer_until": rfc3339(view.offer_until),
        "result": view.result or None,
        "tags": view.tags,
    }


def customer(card: Card) -> dict[str, Any]:
    """What is known of a person, and his latest sessions."""
    known = card.customer
    return {
        "id": known.id if known else "",
        "name": known.name if known else "",
        "username": known.username if known else "",
        "language": known.language if known else "",
        "phones": [{"raw": known.phone, "e164": known.phone}] if known and known.phone else [],
        "identities": [
            {"channel": i.channel, "kind": i.kind, "value": i.value}
            for i in (known.identities if known else [])
        ],
        "created_at": rfc3339(known.created_at) if known else None,
        "seen_at": rfc3339(known.seen_at) if known else None,
        "can_write": known.can_write if known else True,
        "sessions": [session(view) for view in card.sessions],
    }


def message(message: Message) -> dict[str, Any]:
    """``delivery`` is null for what does not go out."""
    return {
        "id": message.id,
        "session": message.session,
        "seq": message.seq,
        "direction": message.direction,
        "author": message.author,
        "kind": message.kind,
        "text": message.text,
        "media": with_times(msgspec.to_builtins(message.media)),
        "at": rfc3339(message.at),
        "edited_at": rfc3339(message.edited_at),
        "deleted_at": rfc3339(message.deleted_at),
        "delivery": message.delivery or None,
        "external_id": message.external_id or None,
        "error": message.error or None,
        "reply_to": message.reply_to or None,
        "album": message.album or None,
        "reactions": message.reactions,
        "buttons": msgspec.to_builtins(message.buttons),
        "edit_delivery": message.edit_delivery or None,
        "edit_error": message.edit_error or None,
        "versions": with_times(msgspec.to_builtins(message.versions)),
    }


def event(event: DeskEvent) -> dict[str, Any]:
    """Sessions and messages in their own shapes under their names, everything else as it comes."""
    head: dict[str, Any] = {"id": event.id, "at": rfc3339(event.at), "type": event.type}
    if event.type == "session":
        return head | {"session": session(msgspec.convert(event.data, SessionView))}
    if event.type == "message":
        return head | {"message": message(msgspec.convert(event.data, Message))}
    return head | {event.type: with_times(event.data)}


def status(report: StatusReport) -> dict[str, Any]:
    """``processes`` by name, ``log_lag`` and ``store_lag`` in entries, ``channels`` with what waits for
    each; ``troubles``: what does not work; ``risks``: settings that may cost messages; ``known_at``: when
    the rest was last heard."""
    processes = {
        name.removeprefix("process:"): part
        for name, part in report.parts.items()
        if name.startswith("process:")
    }
    desk = next((p for p in processes.values() if p.get("redis")), {})
    channels = {
        name: report.channels.get(name, {})
        | {"inbox": report.lags.get(f"in:{name}", 0), "outbox": report.lags.get(f"out:{name}", 0)}
        for name in sorted({*report.channels, *(k[3:] for k in report.lags if k.startswith("in:"))})
    }
    return {
        "desk": report.desk,
        "version": report.version or desk.get("version", ""),
        "redis": report.redis or desk.get("redis", ""),
        "store": report.store or desk.get("store", ""),
        "log_lag": report.lags.get("log", 0),
        "processes": with_times(processes),
        "parts": with_times({k: v for k, v in report.parts.items() if not k.startswith("process:")}),
        "channels": with_times(channels),
        "lines": with_times(msgspec.to_builtins(report.lines)),
        "operators": with_times(msgspec.to_builtins(report.operators)),
        "store_lag": report.lags.get("store", 0),
        "troubles": [
            {"part": t.part, "code": t.code, "text": t.text, "stops": t.stops} for t in report.troubles
        ],
        "risks": report.risks,
        "known_at": rfc3339(report.known_at),
        "quarantine": report.quarantine,
        "quarantine_fell_out": report.quarantine_fell_out,
    }


def set_aside(view: SetAsideView) -> dict[str, Any]:
    """``operator`` is null unless somebody was told that his command was not carried out."""
    return {
        "id": view.id,
        "origin": view.origin,
        "place": view.place,
        "kind": view.kind or None,
        "at": rfc3339(view.at),
        "reason": view.reason,
        "size": view.size,
        "operator": view.operator or None,
    }


def with_times(data: Any) -> Any:
    """The same with every ms time under its usual names as RFC 3339."""
    if isinstance(data, dict):
        return {
            key: _armed(value)
            if key == "timers" and isinstance(value, dict)
            else rfc3339(value)
            if _is_time(key, value)
            else with_times(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [with_times(item) for item in data]
    return data


def _armed(timers: dict[str, int]) -> dict[str, str | None]:
    """When each timer would fire, by its kind."""
    return {kind: rfc3339(due) for kind, due in timers.items()}


def _is_time(key: object, value: object) -> bool:
    named = isinstance(key, str) and (key in _TIMES or key.endswith("_at"))
    return named and isinstance(value, int) and not isinstance(value, bool)


def decision(view: DecisionView) -> dict[str, Any]:
    """One routing decision; ``timers``: what was armed then, and when each would fire."""
    return {
        "at": rfc3339(view.at),
        "line": view.line,
        "why": view.why,
        "chosen": view.chosen or None,
        "candidates": view.candidates,
        "dropped": view.dropped,
        "timers": _armed(view.timers),
    }
