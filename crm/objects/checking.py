"""From what somebody wrote of an object to what may be stored, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from crm.kernel.access import Actor, ObjectType
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Refused
from crm.kernel.fields import ObjectField
from crm.kernel.ports import Document, Store
from crm.objects.twins import ALIVE
from crm.objects.types import COLLECTION, Types
from crm.objects.values import Habits, bad, stored
from crm.objects.writing import value_at

MAX_NAMES = 60
"""Names of fields that a refusal lists."""
WHEN_MADE = frozenset({"funnel", "stage"})
"""Given when an object is made; afterwards it is moved."""


class Surroundings(Protocol):
    """What else there is at the desk."""

    async def operator(self, name: str) -> bool:
        """Whether an account is called so."""

    def line(self, name: str) -> bool:
        """Whether there is such a line."""


class Checks:
    """The values of one desk's objects."""

    def __init__(
        self, store: Store, types: Types, habits: Habits, settings: CrmSettings, known: Surroundings
    ) -> None:
        self._store = store
        self._known = known
        self.types = types
        self.habits = habits
        self.settings = settings

    def field(self, type: ObjectType, name: str) -> ObjectField:
        """Raises ``Refused`` with the names there are."""
        fields = self.types.fields(type)
        found = fields.get(name.removeprefix("custom."))
        if found is None or (name.startswith("custom.") and not found.custom):
            raise Refused(
                "no_such_field", type=type, field=name[:60], allowed=", ".join(sorted(fields)[:MAX_NAMES])
            )
        return found

    async def values(
        self, actor: Actor, type: ObjectType, given: Mapping[str, Any], *, making: bool = False
    ) -> dict[str, Any]:
        """Path -> value as it is stored, None for what is taken away. Raises ``Refused`` for the first that
        cannot be."""
        found: dict[str, Any] = {}
        for name, value in _flat(given):
            field = self.field(type, name)
            if field.read_only:
                raise Refused("read_only_field", field=field.name)
            if field.name in WHEN_MADE:
                if not making:
                    raise Refused("moved_not_set", field=field.name)
                found[field.path] = str(value)[:100]
                continue
            found[field.path] = stored(field, value, self.habits)
            await self._refers(actor, field, found[field.path])
            if field.required and found[field.path] is None:
                raise Refused("needs_field", type=type, field=field.name)
        if making:
            self._complete(type, found)
        return found

    def _complete(self, type: ObjectType, found: Mapping[str, Any]) -> None:
        for field in self.types.fields(type).values():
            if field.required and found.get(field.path) is None:
                raise Refused("needs_field", type=type, field=field.name)

    async def _refers(self, actor: Actor, field: ObjectField, value: Any) -> None:
        """Whether what a value names is there, and may be seen by who names it."""
        if value is None:
            return
        if field.kind == "operator" and not await self._known.operator(value):
            raise Refused("no_such_operator", name=value)
        if field.kind == "line" and not self._known.line(value):
            raise Refused("no_such_line", line=value)
        if field.kind == "reference" and field.to:
            await self.readable(actor, field.to, value)

    async def readable(self, actor: Actor, type: ObjectType, id: str, *, deleted: bool = False) -> Document:
        """The object, if it is there and this actor may read it: who may not hears the same as if there were
        none. Raises ``Refused``."""
        document = await self._store.get(COLLECTION[type], id) if id and "\0" not in id else None
        there = document is not None and (deleted or not any(name in document for name in ALIVE))
        if document is None or not there or not actor.reaches(type, "read", document):
            raise Refused("no_such_object", type=type, id=id[:60])
        return document


def _flat(given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """``{"custom": {"color": 1}}`` as ``custom.color``."""
    inside = given.get("custom")
    flat = [(name, value) for name, value in given.items() if name != "custom" or inside is None]
    if inside is not None and not isinstance(inside, Mapping):
        raise bad("bad_list", ObjectField(name="custom", kind="text"), inside)
    return [*flat, *((f"custom.{name}", value) for name, value in (inside or {}).items())]


def changed_only(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that are not there already."""
    return {path: value for path, value in values.items() if value_at(before, path) != value}
