"""How lines' and operators' settings are read, written and checked: the same for the file, the command
line and the console's forms."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from crm.kernel.errors import ConfigError, Refused
from crm.kernel.records import Account, OperatorRules
from crm.kernel.yaml_line import as_line
from crm.lines import versions
from crm.lines.versions import WrittenSettings
from navbat.cli.arguments import unknown_word
from navbat.config import flows
from navbat.config.file import KeyPath, YamlFile, parse_text, show_path, switched
from navbat.config.lines import Line, Operator, joint_problems, operator_problems, problems, problems_now
from navbat.config.types import Config, read
from router.desk.bots.flow import Flow
from router.desk.events import OperatorChanged
from router.desk.rules import LineRules
from router.wire.admin_frames import SettingView

SETTINGS = tuple(field.name for field in msgspec.structs.fields(Line))
TEXT_MAX = 20_000
"""Characters of one setting's text."""


class Rulebook:
    """The desk's ``router.gateway.answers.line_changes.LineCompiler``. ``config`` says what accounts leave open, ``folder`` is
    where its flows are."""

    def __init__(self, config: Config, folder: Path, written: Mapping[str, WrittenSettings]) -> None:
        self.written = written
        """The lines as the file has them."""
        self._operators = config.operators
        self._flows: dict[str, Flow] = dict(config.flows)
        self._folder = folder

    @classmethod
    def load(cls, path: Path, *, channels: bool = True) -> tuple[Config, Rulebook]:
        """A configuration and what it says of settings. Raises ``ConfigError`` as ``navbat.config.types.load``."""
        config, file = read(path, channels=channels)
        file.raise_problems()
        assert config is not None
        return config, cls(config, path.parent / "flows", resolved(file))

    # ---------------------------------------------------------------- lines

    def compile(self, given: Mapping[str, WrittenSettings]) -> dict[str, LineRules]:
        """Raises ``Refused``: ``bad_settings``."""
        built: dict[str, Line] = {}
        found: list[str] = []
        for name, settings in given.items():
            if not versions.NAME.fullmatch(name):
                found.append(f"{name}: a name is 1 to 32 letters, digits, dots, underscores and hyphens")
            line, wrong = build(settings)
            found += [f"{name}.{problem}" for problem in wrong]
            if line is not None:
                built[name] = line
        if not found:
            found = [f"{show_path(path)}: {problem}" for path, problem in joint_problems(built)]
        if found:
            raise Refused("bad_settings", problems="\n".join(found))
        return {name: line.rules() for name, line in built.items()}

    def edited(self, settings: WrittenSettings, changes: Mapping[str, str]) -> WrittenSettings:
        """Raises ``Refused``: ``bad_settings``."""
        result = versions.plain(settings)
        for key, text in changes.items():
            path = key.split(".")
            if path[0] not in SETTINGS:
                raise bad(unknown_word("setting", path[0], SETTINGS))
            if len(text) > TEXT_MAX:
                raise bad(f"{key}: longer than {TEXT_MAX} characters")
            try:
                value = versions.plain({"": parse_text(text)})[""]
            except (ValueError, TypeError, RecursionError) as error:
                raise bad(f"{key}: {error}") from error
            _set(result, path, value)
        kept = as_kept(result)
        for where, wrong in problems_now({key: kept.get(key) for key in changes}):
            raise bad(f"{show_path(where)}: {wrong}")
        return kept

    def texts(self, settings: WrittenSettings) -> dict[str, str]:
        return {name: as_text(settings[name]) for name in (*SETTINGS, *settings) if name in settings}

    def views(self, settings: WrittenSettings) -> list[SettingView]:
        return list(_views(Line, settings))

    def flows(self, rules: Mapping[str, LineRules]) -> dict[str, Flow]:
        """Names that are no flow are accounts'. Raises ``Refused``: ``bad_settings``."""
        result = {}
        for name in {rule.bot for rule in rules.values() if versions.NAME.fullmatch(rule.bot)}:
            if name not in self._flows:
                found = flows.find(name, [self._folder])
                if found is None:
                    continue
                try:
                    self._flows[name] = flows.read(found)
                except ConfigError as error:
                    raise bad(str(error)) from error
            result[name] = self._flows[name]
        return result

    # ---------------------------------------------------------------- operators

    def told(self, account: Account) -> OperatorChanged:
        """What the account sets itself goes before the configuration."""
        by_file = self._operators.get(account.name, Operator()).rules()
        default = OperatorRules()
        fields = {}
        for name in OperatorRules.__struct_fields__:
            own = getattr(account, name)
            fields[name] = own if own != getattr(default, name) else getattr(by_file, name)
        return OperatorChanged(
            name=account.name, role=account.role, lines=account.lines, disabled=account.disabled, **fields
        )

    def check_account(self, account: Account) -> None:
        """Raises ``Refused``: ``bad_settings``."""
        given = {name: msgspec.to_builtins(getattr(account, name)) for name in Operator.__struct_fields__}
        file = YamlFile.of_tree(_literal(given))
        made = file.build(Operator, file.tree)
        found = file.problems or [
            f"{show_path(path)}: {problem}" for path, problem in operator_problems(made)
        ]
        if found:
            raise Refused("bad_settings", problems="\n".join(found))


def bad(problem: str) -> Refused:
    return Refused("bad_settings", problems=problem)


def as_kept(settings: Mapping[str, Any]) -> WrittenSettings:
    """A line's mapping as it is kept: plain values, and every switch True or False. Raises ``TypeError``
    and ``ValueError`` for what no YAML of ours holds."""
    kept: WrittenSettings = switched(Line, versions.plain(settings))
    return kept


def build(settings: WrittenSettings) -> tuple[Line | None, list[str]]:
    """One line's settings, and what is wrong with them. ``${NAME}`` is plain text here: what comes from
    a console must not read this machine's environment or files."""
    file = YamlFile.of_tree(_literal(settings))
    made = file.build(Line, file.tree)
    if made is not None and not file.problems:
        for path, problem in problems(made):
            file.problem(path, problem)
    return made, file.problems


def resolved(file: YamlFile) -> dict[str, WrittenSettings]:
    """The lines of a configuration that was read without problems, every ``${NAME}`` in its place."""
    return {
        str(name): as_kept(_resolved(file, value or {}, ("lines", name)))
        for name, value in (file.tree.get("lines") or {}).items()
    }


def _resolved(file: YamlFile, value: Any, path: KeyPath) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(file, item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(file, item, (*path, n)) for n, item in enumerate(value)]
    return file.resolve(value, path) if isinstance(value, str) else value


def _literal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _set(tree: dict[str, Any], path: list[str], value: Any) -> None:
    """A value that is None takes the key away; a mapping that is empty then goes too."""
    key = path[0]
    if len(path) == 1:
        if value is None:
            tree.pop(key, None)
        else:
            tree[key] = value
        return
    inner = tree.get(key)
    inner = dict(inner) if isinstance(inner, dict) else {}
    _set(inner, path[1:], value)
    if inner:
        tree[key] = inner
    else:
        tree.pop(key, None)


def as_text(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return as_line(value)


def _views(kind: type[msgspec.Struct], given: Mapping[str, Any], prefix: str = "") -> Iterator[SettingView]:
    """The settings of a struct; those of a struct inside it by their dotted names."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        inner = _bare(hint)
        value = given.get(field.name)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from _views(inner, value if isinstance(value, dict) else {}, f"{prefix}{field.name}.")
            continue
        yield SettingView(
            name=prefix + field.name,
            text=as_text(value) if field.name in given else "",
            default=_default(field),
            allowed=_allowed(hint),
            about=_about(hint),
        )


def _default(field: Any) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value == "":
        return ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value)


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _allowed(hint: Any) -> list[str]:
    kind = _bare(hint)
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    return ["on", "off"] if kind is bool else []


def _about(hint: Any) -> str:
    metas = getattr(hint, "__metadata__", ())
    return next((m.description for m in metas if isinstance(m, msgspec.Meta) and m.description), "")
