"""What objects hold, as people read and write it. Pure but for the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from console.text.words import Words, local
from crm.kernel.codes import MINOR_DIGITS
from crm.kernel.crm_settings import Funnel, FunnelStage
from crm.kernel.fields import ObjectField
from crm.kernel.text import clean, one_line

TYPES = ("lead", "deal", "contact", "company", "activity")
"""What has a list, in the order of its tabs."""


def money(value: Any) -> str:
    """``120 000.50 UZS``; without minor units where there are none."""
    if not isinstance(value, Mapping) or not isinstance(value.get("minor"), int):
        return ""
    currency = one_line(str(value.get("currency", "")), 8)
    digits = MINOR_DIGITS.get(currency, 2)
    whole, rest = divmod(abs(value["minor"]), 10**digits)
    text = f"{whole:,}".replace(",", " ") + (f".{rest:0{digits}}" if rest else "")
    return f"{'-' if value['minor'] < 0 else ''}{text} {currency}".rstrip()


def total(values: Sequence[Any]) -> str:
    """The sums of amounts, one for each currency."""
    sums: dict[str, int] = {}
    for value in values:
        if isinstance(value, Mapping) and isinstance(value.get("minor"), int):
            currency = str(value.get("currency", ""))
            sums[currency] = sums.get(currency, 0) + value["minor"]
    return " + ".join(money({"minor": minor, "currency": of}) for of, minor in sorted(sums.items()) if minor)


def value_of(field: ObjectField, item: Mapping[str, Any]) -> Any:
    """What an object has in a field; None for nothing."""
    found: Any = item
    for part in field.path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def shown(field: ObjectField, value: Any, words: Words, zone: tzinfo | None) -> str:
    """A value on one line."""
    if value is None or value == "":
        return ""
    match field.kind:
        case "money":
            return money(value)
        case "moment":
            whole = isinstance(value, int) and value > 0
            return local(value, zone).strftime("%d.%m.%Y %H:%M") if whole else ""
        case "flag":
            return words("crm.yes") if value is True else words("crm.no")
        case "phones":
            return ", ".join(_phone(one) for one in value if isinstance(one, Mapping))
        case "files":
            return words("crm.files", n=len(value)) if value else ""
        case "choice" if not field.custom:
            return words.maybe(f"choice.{value}", str(value))
    if isinstance(value, list):
        return one_line(", ".join(str(one) for one in value), 400)
    return one_line(str(value), 400)


def written(field: ObjectField, value: Any, zone: tzinfo | None) -> str:
    """A value as it is typed: taken by the desk as it stands here."""
    if value is None or value == "":
        return ""
    if field.kind == "money":
        amount, _, currency = money(value).rpartition(" ")
        return f"{amount.replace(' ', '')}:{currency}"
    if field.kind == "moment":
        return local(value, zone).strftime("%Y-%m-%d %H:%M") if value else ""
    if field.kind == "phones":
        return "; ".join(_phone(one) for one in value)
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return clean(str(value), 20_000).replace("\n", " ") if field.long else str(value)


def _phone(one: Mapping[str, Any]) -> str:
    extension = f" ext. {one['ext']}" if one.get("ext") else ""
    return one_line(str(one.get("e164") or one.get("raw", "")), 60) + extension


def label(field: ObjectField, words: Words) -> str:
    """What people call a field."""
    if field.custom:
        named = field.label.get(words.language) or field.label.get("") or next(iter(field.label.values()), "")
        return one_line(named or field.name, 40)
    return words.maybe(f"field.{field.name}", field.name)


def title(item: Mapping[str, Any]) -> str:
    """What an object is called in a list."""
    return one_line(str(item.get("title") or item.get("name") or item.get("id", "")), 200)


def stage_named(stage: FunnelStage, words: Words) -> str:
    """What people call a stage."""
    named = stage.name.get(words.language) or stage.name.get("") or next(iter(stage.name.values()), "")
    return one_line(named or stage.key, 40)


def stage_of(item: Mapping[str, Any], funnels: Mapping[str, Funnel], words: Words) -> str:
    """The name of the stage in which an object is; its key where the stage is there no more."""
    funnel = funnels.get(str(item.get("funnel", ""))) or next(iter(funnels.values()), None)
    key = str(item.get("stage", ""))
    found = next((one for one in funnel.stages if one.key == key), None) if funnel else None
    return stage_named(found, words) if found else one_line(key, 40)
