"""A YAML file as a tree that remembers on which line everything stands, and typed values made from it.

A word is a text, whatever it is: ``no`` is Norwegian and ``on`` a name, unless the setting is a switch.
Everything that is wrong is collected, so that one look shows all of it. ``${NAME}`` is replaced by
the environment, ``${file:/path}`` by the content of a file, ``$${`` stands for ``${``.
"""

from __future__ import annotations

import functools
import os
import re
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Union

import msgspec
import yaml

from crm.kernel.errors import ConfigError
from crm.kernel.yaml_line import WordLoader
from navbat.cli.arguments import unknown_word

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS = (86_400_000, 3_600_000, 60_000, 1000, 1)

DURATION_MAX = 36_500 * 86_400_000
"""ms; a hundred years are no wait any more."""
DURATION_TEXT = 100
"""Characters of one."""
NUMBER_MAX = 2**53
"""Larger ones do not survive every reader of JSON."""
YEAR = 365 * 86_400_000
"""ms."""
_OFF = ("off", "false")
_ON = ("on", "true")
_NO_TEXT = re.compile("[\\x00\\ud800-\\udfff]")
"""What neither a file name, nor a store, nor the wire takes."""

KeyPath = tuple[Hashable, ...]


class Duration(int):
    """Milliseconds, written in the file with units: ``30s``, ``5m``, ``4h``, ``2d``, ``1m30s``."""

    __slots__ = ()

    @property
    def seconds(self) -> float:
        return self / 1000

    def __str__(self) -> str:
        rest, parts = int(self), []
        for unit, size in zip(("d", "h", "m", "s", "ms"), _UNITS, strict=True):
            count, rest = divmod(rest, size)
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts) or "0s"


class OffDuration(Duration):
    """A duration, or ``off``: 0."""

    __slots__ = ()

    def __str__(self) -> str:
        return super().__str__() if self else "off"


class PeriodOrOff(OffDuration):
    """A duration that may be counted in years of 365 days (``3y``), or ``off``: 0."""

    __slots__ = ()

    def __str__(self) -> str:
        years, rest = divmod(self, YEAR)
        return f"{years}y" if years and not rest else super().__str__()


class NumberOrOff(int):
    """A whole number of at least 1, or ``off``: 0."""

    __slots__ = ()

    def __str__(self) -> str:
        return int.__repr__(self) if self else "off"


def parse_duration(value: object) -> Duration:
    """Raises ``ValueError`` with a sentence for the reader of the file."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit: write {value}s, {value}m or {value}h")  # noqa: TRY004
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match or not match.group():
        raise ValueError("expected a duration such as 30s, 5m, 4h, 2d or 1m30s")
    if len(match.group()) > DURATION_TEXT:
        raise ValueError(f"longer than the longest duration, {Duration(DURATION_MAX)}")
    ms = sum(int(n or 0) * size for n, size in zip(match.groups(), _UNITS, strict=True))
    if ms > DURATION_MAX:
        raise ValueError(f"longer than the longest duration, {Duration(DURATION_MAX)}")
    return Duration(ms)


class BadConfig(ConfigError):
    """Everything that is wrong with a file, one ``problems`` line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class _Mapping(dict[Hashable, Any]):
    """A mapping of the file and the lines on which its keys stand."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Hashable, int] = {}


class _Loader(WordLoader):
    """Refuses a key given twice and remembers lines."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> _Mapping:
    result = _Mapping()
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a plain word", key_node.start_mark
            )
        if key in result:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
        result[key] = loader.construct_object(value_node, deep=True)
        result.lines[key] = key_node.start_mark.line + 1
    return result


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def parse_text(text: str) -> Any:
    """One value written as YAML, such as ``2m`` or ``[anna, bek]``; empty is None. Raises ``ValueError``
    with a sentence."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Loader)):
            raise ValueError("anchors are not understood here: write the value itself")
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("not YAML") from error


def show_path(path: KeyPath) -> str:
    """``("lines", "sales", "members", 0)`` as ``lines.sales.members[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


class YamlFile:
    """One file that is being read. ``problems`` grows while its values are asked for, ``referenced``
    names the keys whose value came from outside by ``${…}``."""

    def __init__(self, path: Path, env: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.problems: list[str] = []
        self.referenced: set[KeyPath] = set()
        self._env = os.environ if env is None else env
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text") from error
        try:
            tree = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f":{mark.line + 1}" if mark else ""
            raise ConfigError(f"{path}{line}: not YAML: {error.problem}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not YAML: {error}") from error
        self.tree: Any = _Mapping() if tree is None else tree

    @classmethod
    def of_tree(cls, tree: Any) -> YamlFile:
        """What came another way than by a file: problems name only the key."""
        made = cls.__new__(cls)
        made.path, made.tree, made.problems, made.referenced, made._env = Path(), tree, [], set(), {}
        return made

    def problem(self, path: KeyPath, text: str) -> None:
        """Notes what is wrong at a key."""
        line = self._line(path)
        where = f"{self.path}:{line}" if line else str(self.path)
        parts = [where if self.path != Path() else "", _visible(show_path(path)), _visible(text)]
        self.problems.append(": ".join(part for part in parts if part))

    def raise_problems(self) -> None:
        """Raises ``BadConfig`` if anything was noted."""
        if self.problems:
            raise BadConfig(self.problems)

    def _line(self, path: KeyPath) -> int:
        node, line = self.tree, 0
        for step in path:
            if isinstance(node, _Mapping) and step in node:
                line = node.lines[step]
                node = node[step]
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                break
        return line

    # ---------------------------------------------------------------- values

    def build(self, kind: Any, value: Any, path: KeyPath = ()) -> Any:
        """``value`` as a ``kind``: a msgspec struct, ``dict[str, …]``, ``list[…]`` or a plain type.
        What does not fit is noted and comes back as None."""
        constrained, kind = kind, _bare(kind)
        if typing.get_origin(kind) in (Union, types.UnionType):
            constrained = kind = _arm(kind, value)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(kind, value, path)
        if origin is dict and isinstance(value, dict):
            return self._dict(arguments, value, path)
        if origin is list and isinstance(value, list):
            return [self.build(arguments[0], item, (*path, n)) for n, item in enumerate(value)]
        return self._leaf(constrained, value, path)

    def _dict(self, arguments: tuple[Any, ...], value: dict[Hashable, Any], path: KeyPath) -> dict[str, Any]:
        keys, kind = arguments
        known = _words(keys)
        result = {}
        for key, item in value.items():
            if isinstance(key, str) and _NO_TEXT.search(key):
                self.problem((*path, _visible(key)), "a key is a text of whole characters")
            elif isinstance(key, str) and known and key not in known:
                self.problem((*path, key), unknown_word("key", key, known))
            elif isinstance(key, str):
                result[key] = self.build(kind, item, (*path, key))
            else:
                self.problem((*path, key), f"YAML reads this key as {key!r}: put it in quotes")
        return result

    def _struct(self, kind: type[msgspec.Struct], value: Any, path: KeyPath) -> Any:
        fields, hints = _members(kind)
        if value is None and not any(field.required for field in fields.values()):
            value = {}
        if not isinstance(value, dict):
            keys = ", ".join(fields)
            self.problem(path, f"expected a mapping with the keys {keys}")
            return None
        before = len(self.problems)
        given: dict[str, Any] = {}
        for key, item in value.items():
            if key in fields and isinstance(key, str):
                name = fields[key].name
                given[name] = self.build(hints[name], item, (*path, key))
            else:
                self.problem((*path, key), unknown_word("key", str(key), fields))
        for name, field in fields.items():
            if field.required and name not in value:
                self.problem(path, f"{name} is missing")
        if len(self.problems) > before:
            return None
        try:
            return kind(**given)
        except ValueError as error:
            self.problem(path, str(error))
            return None

    def _leaf(self, kind: Any, value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            value = self.resolve(value, path)
            if value is None:
                return None
        value = _switched(kind, value)
        try:
            _check_plain(value)
            if _bare(kind) in _SPECIAL:
                return _SPECIAL[_bare(kind)](value)
            if typing.get_origin(_bare(kind)) is typing.Literal and isinstance(value, bool):
                value = "on" if value else "off"
            return msgspec.convert(value, kind, dec_hook=_convert)
        except msgspec.ValidationError as error:
            self.problem(path, _sentence(str(error), kind, value))
        except ValueError as error:
            self.problem(path, str(error))
        return None

    def resolve(self, text: str, path: KeyPath) -> str | None:
        """The text with its references replaced; None (and a problem) when one is missing."""
        missing = False

        def replace(match: re.Match[str]) -> str:
            nonlocal missing
            name = match.group(1)
            if name is None:
                return "${"
            try:
                found = self._refer(name)
            except ConfigError as error:
                missing = True
                self.problem(path, str(error))
                return ""
            self.referenced.add(path)
            return found

        result = _REFERENCE.sub(replace, text)
        return None if missing else result

    def _refer(self, name: str) -> str:
        if name.startswith("file:"):
            file = self.path.parent / Path(name[5:]).expanduser()
            try:
                return file.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"${{{name}}} cannot be read: {type(error).__name__}") from error
        if not _NAME.match(name):
            raise ConfigError(f"${{{name}}} is neither ${{NAME}} nor ${{file:/path}}; $${{ is a plain ${{")
        if name not in self._env:
            raise ConfigError(f"the environment has no {name}")
        return self._env[name]


def _off_duration(value: object) -> OffDuration:
    return OffDuration(0 if value is False or value == "off" else parse_duration(value))


def _period_or_off(value: object) -> PeriodOrOff:
    years = re.fullmatch(r"([0-9]{1,3})y", value) if isinstance(value, str) else None
    if years and 0 < int(years[1]) * YEAR <= DURATION_MAX:
        return PeriodOrOff(int(years[1]) * YEAR)
    try:
        return PeriodOrOff(_off_duration(value))
    except ValueError:
        raise ValueError("expected a period such as 3y, 90d or 12h, or off") from None


def _number_or_off(value: object) -> NumberOrOff:
    if value is False or value == "off":
        return NumberOrOff(0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("expected a whole number >= 1, or off")
    return NumberOrOff(value)


_SPECIAL: dict[Any, Callable[[object], Any]] = {
    Duration: parse_duration,
    OffDuration: _off_duration,
    NumberOrOff: _number_or_off,
    PeriodOrOff: _period_or_off,
}


def _check_plain(value: object) -> None:
    """Raises ``ValueError`` for what no setting can be."""
    if isinstance(value, str) and _NO_TEXT.search(value):
        raise ValueError("expected a text of whole characters")
    if isinstance(value, int) and abs(value) > NUMBER_MAX:
        raise ValueError("the number is too large")


def _visible(text: str) -> str:
    """For a message: what is no text is shown by its number."""
    return _NO_TEXT.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _switched(kind: Any, value: object) -> object:
    """The word as True or False where the setting is a switch, or may be one. Where no other word can
    stand, ``no`` and ``yes`` are understood too."""
    if not isinstance(value, str):
        return value
    bare = _bare(kind)
    arms = typing.get_args(bare) if typing.get_origin(bare) in (Union, types.UnionType) else (bare,)
    word = value.casefold()
    if bool in arms:
        # Beside a list of intervals no word can stand but a switch.
        alone = str not in arms or any(typing.get_origin(arm) is list for arm in arms)
        if word in _OFF or (alone and word == "no"):
            return False
        return True if word in _ON or (alone and word == "yes") else value
    if arms[0] in (OffDuration, NumberOrOff, PeriodOrOff) or _says_off(arms[0]):
        return False if word in (*_OFF, "no") else value
    return value


def _says_off(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal and "off" in typing.get_args(kind)


def switched(kind: Any, value: Any) -> Any:
    """A tree that is meant for a ``kind``, with switches as True and False however they were written: as
    settings are kept."""
    kind = _bare(kind)
    if typing.get_origin(kind) in (Union, types.UnionType):
        kind = _arm(kind, value)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if _is_struct(kind) and isinstance(value, dict):
        fields, hints = _members(kind)
        return {
            key: switched(hints[fields[key].name] if key in fields else Any, item)
            for key, item in value.items()
        }
    if origin is dict and isinstance(value, dict):
        return {key: switched(arguments[1], item) for key, item in value.items()}
    if origin is list and isinstance(value, list):
        return [switched(arguments[0], item) for item in value]
    return _switched(kind, value)


@functools.cache
def _members(kind: type[msgspec.Struct]) -> tuple[dict[str, msgspec.structs.FieldInfo], dict[str, Any]]:
    """The fields of a struct by their keys in a file, and their types by name. Kept, since finding out the
    types compiles each of them."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    return fields, typing.get_type_hints(kind, include_extras=True)


def _bare(kind: Any) -> Any:
    """The type without its ``Annotated``."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def _words(kind: Any) -> list[str]:
    """The texts that a type, or a union of such, lists; nothing for one that takes any."""
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    return [word for arm in typing.get_args(kind) for word in _words(arm)]


def _arm(union: Any, value: Any) -> Any:
    """The member of a union that a value was meant for."""
    arms = typing.get_args(union)
    if value is None and type(None) in arms:
        return type(None)
    arms = tuple(arm for arm in arms if arm not in (type(None), msgspec.UnsetType))
    if isinstance(value, dict):
        arms = tuple(arm for arm in arms if typing.get_origin(arm) is dict or _is_struct(arm)) or arms
    elif isinstance(value, list):
        arms = tuple(arm for arm in arms if typing.get_origin(arm) is list) or arms
    return Union[arms]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _convert(kind: type, value: Any) -> Any:
    """For the types that msgspec does not know: our own kinds of strings."""
    if issubclass(kind, str) and isinstance(value, str):
        return kind(value)
    raise ValueError("expected a text")


def _sentence(error: str, kind: Any, value: object) -> str:
    kind = _bare(kind)
    if typing.get_origin(kind) is typing.Literal:
        word = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        return unknown_word("value", word, [str(a) for a in typing.get_args(kind)])
    text = error.split(" - at `")[0]
    if isinstance(value, bool | int | float) and text.startswith("Expected `str"):
        return f"expected a text: put {_written(value)} in quotes"
    text = text[:1].lower() + text[1:]
    return re.sub(r"`([a-z| ]+)`", lambda kinds: _kinds(kinds[1]), text)


_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "on or off",
    "array": "a list [a, b]",
    "object": "a mapping {a: b}",
    "null": "nothing",
}


def _kinds(given: str) -> str:
    """``bool | str`` in words."""
    return " or ".join(_KINDS.get(kind, f"`{kind}`") for kind in sorted(given.split(" | "), reverse=True))


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
