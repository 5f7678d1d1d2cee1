"""What a field of an object is, declared once: of it are made the checks, the filters of lists, the forms of
the console, the columns of an import and the reference."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from crm.kernel.access import ObjectType

FieldKind = Literal[
    "text", "number", "money", "date", "moment", "choice", "link", "flag", "phones", "emails", "operator",
    "line", "reference", "tags", "files",
]  # fmt: skip
"""What a value is, as it is stored:

``text``: a string; ``number``: int or float; ``money``: ``{minor, currency}``; ``date``: ``2026-03-05``;
``moment``: ms since the epoch; ``choice``: one of ``choices``; ``link``: an address of the web; ``flag``: a
truth; ``phones``: a list of ``{raw, e164, ext}``; ``emails``, ``tags``: lists of strings; ``operator``,
``line``: a name; ``reference``: the id of an object of type ``to``; ``files``: a list of files as messages have
them (``Media``)."""

CustomKind = Literal["text", "number", "money", "date", "choice", "link"]

MAX_TEXT = 500
"""Characters of a text of one line."""
MAX_LONG_TEXT = 20_000
MAX_CUSTOM_FIELDS = 100
"""Custom fields of one type."""


class ObjectField(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of a type of objects. ``most``: characters of a text, entries of a list. A field that is
    ``read_only`` is written by the desk alone."""

    name: str
    kind: FieldKind
    read_only: bool = False
    required: bool = False
    """An object cannot be without it."""
    long: bool = False
    """A text of several lines."""
    most: int = MAX_TEXT
    choices: tuple[str, ...] = ()
    to: ObjectType | Literal[""] = ""
    at: str = ""
    """Where its value is in the stored document, if not under its name."""
    custom: bool = False
    """The configuration declares it; its value is in ``custom.<name>``."""
    label: dict[str, str] = {}
    """Language -> what people call it, for custom fields; those of navbat are in the console's catalogue."""

    @property
    def path(self) -> str:
        """Where the value is in the stored document."""
        return f"custom.{self.name}" if self.custom else self.at or self.name


def _about(description: str) -> Any:
    return msgspec.Meta(description=description)


class CustomField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that the configuration adds to a type: ``color: {kind: choice, choices: [red, blue]}``."""

    kind: Annotated[CustomKind, _about("what it holds")] = "text"
    choices: Annotated[
        tuple[str, ...], msgspec.Meta(max_length=500), _about("the values of `kind: choice`")
    ] = ()
    label: Annotated[str | dict[str, str], _about("what people read, one for all or by language")] = ""
    required: Annotated[bool, _about("an object cannot be without it")] = False

    def declared(self, name: str) -> ObjectField:
        labels = self.label if isinstance(self.label, dict) else {"": self.label} if self.label else {}
        return ObjectField(
            name=name, kind=self.kind, choices=self.choices, required=self.required, custom=True, label=labels
        )


CustomFields = dict[str, dict[str, CustomField]]
"""Type of object -> name -> field: what stands under ``crm: fields:``."""
