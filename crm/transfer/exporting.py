"""Values of objects as cells of a CSV file, which an import takes back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crm.kernel.codes import MINOR_DIGITS
from crm.kernel.fields import ObjectField
from crm.kernel.text import formula_free
from crm.objects.writing import value_at


def cell(field: ObjectField, item: Mapping[str, Any]) -> str:
    """The field of an object as text; nothing that a spreadsheet would calculate."""
    return formula_free(_text(field, value_at(item, field.path)))


def _text(field: ObjectField, value: Any) -> str:
    if value is None:
        return ""
    if field.kind == "money" and isinstance(value, Mapping):
        digits = MINOR_DIGITS.get(value.get("currency", ""), 2)
        minor = f"{value.get('minor', 0):0{digits + 1}}"
        amount = f"{minor[:-digits]}.{minor[-digits:]}" if digits else minor
        return f"{amount}:{value.get('currency', '')}"
    if field.kind == "moment" and isinstance(value, int):
        return (
            datetime.fromtimestamp(value / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
    if field.kind == "flag":
        return "yes" if value else "no"
    if isinstance(value, list):
        return (", " if field.kind == "tags" else "; ").join(_one(one) for one in value)
    return str(value)


def _one(value: Any) -> str:
    if isinstance(value, Mapping):
        extension = f" ext. {value['ext']}" if value.get("ext") else ""
        return str(value.get("e164") or value.get("raw") or value.get("name") or "") + extension
    return str(value)
