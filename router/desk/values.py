"""What a session is made of besides its plain fields: values that a transition replaces whole, so that nothing
of one offer is left in the next. Frozen; the default of each stands for there being none.

Their fields are named in storage as they were when a session had them side by side: by those names the
store's documents and the saved states of earlier versions are read (``router.desk.state``). Times are
milliseconds since the epoch, 0 = not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from router.desk.bots.flow import FlowState

OfferKind = Literal["", "responsible", "last_operator"]


class Value(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """Base of them."""

    moments: ClassVar[tuple[str, ...]] = ()
    """Fields that were measured from a moment: they move along when the clock is set."""


class Offer(
    Value,
    frozen=True,
    rename={"until": "offer_until", "began": "offered_at", "most": "offer_most", "kind": "offer_kind"},
):
    """The present offer, to the session's holder or, in mode ``all``, to those in ``seen_by``."""

    moments: ClassVar[tuple[str, ...]] = ("until", "began", "most")
    until: int = 0
    began: int = 0
    most: int = 0
    """Its latest end, however much is written; 0 until somebody writes into it."""
    kind: OfferKind = ""
    """Why it is offered to its holder, when it was not the mode that chose him."""
    seen_by: list[str] = []


class BotTurn(Value, frozen=True, rename={"name": "bot"}):
    """The turn of a bot, in status ``bot``: before the operators, or when one of them has handed over to it."""

    name: str = ""
    """The flow or external bot that has it."""
    flow: FlowState | None = None
    """Where the scripted one stands."""


class Hand(Value, frozen=True):
    """How its holder has it. While it is offered to somebody by transfer it is still the sender's."""

    moments: ClassVar[tuple[str, ...]] = ("pinned_at",)
    answered_by_holder: bool = False
    pinned: bool = False
    pinned_at: int = 0
    snoozed: int = 0
    """Sleeps until then; -1 = until the customer writes."""
    return_when_written: bool = False
    """Its holder left: the session returns to the queue with the customer's next message."""
    transfer_from: str = ""
    """The sender of a transfer that is not taken yet."""


class Round(Value, frozen=True):
    """A round of offers: nobody gets it twice in one."""

    moments: ClassVar[tuple[str, ...]] = ("pause_until",)
    had: list[str] = []
    """Operators to whom it was given and who missed, skipped or returned it."""
    hidden_from: list[str] = []
    """Mode ``all``: who skipped it."""
    pause_until: int = 0
    """No new round before this time: somebody gave it back by hand."""


class Wait(Value, frozen=True):
    """Its wait in the queue of a line, until somebody takes it."""

    moments: ClassVar[tuple[str, ...]] = ("arrival", "entered_at")
    arrival: int = 0
    """Order in the backlog: the oldest customer message no operator has answered."""
    entered_at: int = 0
    """When it entered the queue of this line."""
    ring: int = 0
    """Which of the line's skill rings is in force."""
    return_reason: str = ""
    """Why who had it gave it back."""


NO_OFFER = Offer()
NO_BOT = BotTurn()
NEW_HAND = Hand()
NEW_ROUND = Round()
NO_WAIT = Wait()


class SideBySide:
    """A struct's values as they stand among its own fields: in the store's documents, and in what earlier
    versions saved and told."""

    def __init__(self, owner: type[msgspec.Struct]) -> None:
        values = [field for field in msgspec.structs.fields(owner) if isinstance(field.default, Value)]
        self._defaults: dict[str, Value] = {field.name: field.default for field in values}
        self._absent = _defaults(owner)
        for name, value in self._defaults.items():
            del self._absent[name]
            self._absent |= _defaults(type(value))
        self._decoders = {
            name: msgspec.msgpack.Decoder(type(value)) for name, value in self._defaults.items()
        }

    def lift(self, owner: msgspec.Struct, data: bytes | msgspec.Raw) -> None:
        """Sets the values from what the owner was just decoded from. Raises as that does."""
        for name, decoder in self._decoders.items():
            self._set(owner, name, decoder.decode(data))

    def convert(self, owner: msgspec.Struct, document: Mapping[str, Any]) -> None:
        """Sets the values from the document that the owner was just made of."""
        for name, value in self._defaults.items():
            self._set(owner, name, msgspec.convert(document, type(value), strict=False))

    def _set(self, owner: msgspec.Struct, name: str, value: Value) -> None:
        """What is there as a value stays, and one equal to the default is that very one: it is not written."""
        if value != self._defaults[name]:
            setattr(owner, name, value)

    def document(self, owner: msgspec.Struct) -> dict[str, Any]:
        """All fields of the owner in builtins, those of its values in place of them."""
        document: dict[str, Any] = self._absent | msgspec.to_builtins(owner)
        for name in self._defaults:
            document |= document.pop(name, {})
        return document


def _defaults(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Encoded name of a field that need not be given -> what it is then, in builtins."""
    return {
        field.encode_name: msgspec.to_builtins(
            field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        )
        for field in msgspec.structs.fields(kind)
        if not field.required
    }
