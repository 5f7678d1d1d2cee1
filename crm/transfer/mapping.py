"""Which column of a file is which field."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from crm.kernel.errors import WrongUse
from crm.kernel.fields import ObjectField
from crm.kernel.spelling import fold
from crm.kernel.text import is_formula, one_line

JOINED = frozenset({"phones", "emails", "tags"})
"""Kinds of fields that several columns may fill."""
_BETWEEN = {"phones": "; ", "emails": "; ", "tags": ", "}

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "name": (
        "full name", "fullname", "fio", "фио", "контакт", "имя и фамилия", "ism familiya", "f.i.sh.", "ism sharif",
        "наименование", "название", "nomi", "компания", "company", "kompaniya", "организация", "display name",
    ),
    "title": ("name", "название", "тема", "subject", "имя", "nomi", "ism"),
    "phones": (
        "phone", "tel", "telephone", "mobile", "mobile phone", "phone 1 - value", "work phone", "телефон", "тел",
        "мобильный", "мобильный телефон", "рабочий телефон", "telefon", "telefon raqami", "номер телефона",
    ),
    "emails": (
        "email", "e-mail", "mail", "email address", "e-mail address", "почта", "эл. почта", "электронная почта",
        "pochta", "elektron pochta", "e-mail 1 - value",
    ),
    "first_name": ("given name", "имя", "ism", "firstname"),
    "last_name": ("family name", "surname", "lastname", "familiya", "фамилия"),
    "middle_name": ("patronymic", "отчество", "otasining ismi", "sharif"),
    "post": ("position", "job title", "должность", "lavozim"),
    "inn": ("инн", "stir", "tin", "tax id"),
    "about": ("comment", "comments", "note", "notes", "комментарий", "примечание", "izoh"),
    "amount": ("sum", "сумма", "summa", "price"),
    "company_name": ("company", "компания", "kompaniya", "organization", "организация"),
    "birthday": ("birth date", "дата рождения", "tug'ilgan kun"),
    "tags": ("labels", "метки", "теги", "teglar"),
    "site": ("website", "web", "url", "сайт", "sayt"),
}  # fmt: skip


class Mapped(NamedTuple):
    """Column (by its place) -> name of the field; and the headers that are left out."""

    columns: dict[int, ObjectField]
    ignored: list[str]


def guess(
    header: Sequence[str], fields: Sequence[ObjectField], labels: Mapping[str, Collection[str]]
) -> Mapped:
    """By the names of the fields, by what people call them (``labels``: field -> texts), and by what other
    programs do. Each field takes one column, but for phones, addresses and tags."""
    known: dict[str, list[ObjectField]] = {}
    for texts in (
        lambda field: [field.name, field.path],
        lambda field: [*field.label.values(), *labels.get(field.name, ())],
        lambda field: SYNONYMS.get(field.name, ()),
    ):
        for field in fields:
            if not field.read_only:
                for text in texts(field):
                    known.setdefault(_plain(text), []).append(field)
    columns: dict[int, ObjectField] = {}
    for n, title in enumerate(header):
        free = (f for f in known.get(_plain(title), ()) if f.kind in JOINED or f not in columns.values())
        if (found := next(free, None)) is not None:
            columns[n] = found
    _split_name(header, columns, known)
    return Mapped(columns, [title for n, title in enumerate(header) if n not in columns and title])


def _split_name(
    header: Sequence[str], columns: dict[int, ObjectField], known: Mapping[str, Sequence[ObjectField]]
) -> None:
    """Beside a family name, what is called a name is the first one."""
    by_name = {field.name: n for n, field in columns.items()}
    if "last_name" in by_name and "name" in by_name and "first_name" not in by_name:
        n = by_name["name"]
        columns[n] = next((f for f in known[_plain(header[n])] if f.name == "first_name"), columns[n])


def told(header: Sequence[str], fields: Sequence[ObjectField], map: Mapping[str, str | None]) -> Mapped:
    """As a map says: title of a column -> name of a field, nothing for a column that is left out. Raises
    ``WrongUse``."""
    by_name = {name: field for field in fields if not field.read_only for name in (field.name, field.path)}
    places = {_plain(title): n for n, title in enumerate(header)}
    columns: dict[int, ObjectField] = {}
    for title, name in map.items():
        if _plain(title) not in places:
            raise WrongUse(f"the file has no column {one_line(title, 60)!r}", f"it has {_listed(header)}")
        if not name:
            continue
        if name not in by_name:
            raise WrongUse(
                f"there is no field {one_line(name, 60)!r}", f"there are {_listed(sorted(by_name))}"
            )
        field = by_name[name]
        if field in columns.values() and field.kind not in JOINED:
            raise WrongUse(f"two columns are mapped to {field.name}")
        columns[places[_plain(title)]] = field
    return Mapped(columns, [title for n, title in enumerate(header) if n not in columns and title])


def values(cells: Sequence[str], columns: Mapping[int, ObjectField]) -> dict[str, str]:
    """The row as fields; columns of the same field are put together."""
    found: dict[str, str] = {}
    for n, field in columns.items():
        text = cells[n].strip() if n < len(cells) else ""
        if text.startswith("'") and is_formula(text[1:]):
            text = text[1:]  # as an export defuses it
        if text:
            before = found.get(field.path)
            found[field.path] = text if before is None else f"{before}{_BETWEEN[field.kind]}{text}"
    if "name" not in found and (parts := [found[part] for part in _PARTS if part in found]):
        found["name"] = " ".join(parts)
    return found


_PARTS = ("last_name", "first_name", "middle_name")


def _plain(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(one_line(name, 40) for name in names[:40])
