"""Scripted bots from YAML: reading and checking them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from crm.kernel.errors import ConfigError
from navbat.cli.arguments import unknown_word
from navbat.config.declared import Settings, Text
from navbat.config.file import KeyPath, YamlFile
from router.desk.bots import flow
from router.desk.bots.flow import Flow, Node

SHIPPED = Path(__file__).parents[2] / "bots" / "flows"
DATA_LIMIT = 64
"""Bytes that the narrowest channel (Telegram) gives to a button's data."""
KINDS = ("menu", "ask", "faq", "line", "hand_over", "close")


def _about(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class OptionSettings(Settings, frozen=True):
    """One way out of a menu."""

    label: Text
    then: str


class AnswerSettings(Settings, frozen=True):
    """One answer of a FAQ."""

    words: list[str]
    say: Text
    then: str = ""


class NodeSettings(Settings, frozen=True):
    """One place in a flow: exactly one of ``menu``, ``ask``, ``faq``, ``line``, ``hand_over``, ``close``,
    or only ``say`` with ``then``."""

    say: Annotated[Text, _about("said on arrival")] = ""
    then: Annotated[str, _about("where it goes on")] = ""
    menu: Annotated[list[OptionSettings], _about("buttons, or numbers where the channel has none")] = (
        msgspec.field(default_factory=list)
    )
    ask: Annotated[str, _about("field of the customer's card that the answer fills: name, phone, …")] = ""
    check: Annotated[flow.Check, _about("what the answer must be")] = "text"
    invalid: Annotated[Text, _about("said when it is not")] = ""
    faq: Annotated[list[AnswerSettings], _about("answers by the words in a question")] = msgspec.field(
        default_factory=list
    )
    tries: Annotated[int, msgspec.Meta(ge=0, le=20)] = 2
    line: Annotated[str, _about("hands over to this line")] = ""
    hand_over: bool = False
    close: bool = False
    priority: int | None = None


class FlowSettings(Settings, frozen=True):
    """One file."""

    start: str
    nodes: dict[str, NodeSettings]
    off_hours: str = ""
    human: list[str] = msgspec.field(default_factory=list)
    phone_code: str = ""


def read(path: Path) -> Flow:
    """Raises ``ConfigError`` with everything that is wrong with the file."""
    file = YamlFile(path, env={})
    made = from_tree(file, path.stem, file.tree)
    file.raise_problems()
    assert made is not None
    return made


def from_tree(file: YamlFile, name: str, tree: Any, path: KeyPath = ()) -> Flow | None:
    """A flow that stands somewhere in a file; what is wrong with it is noted there."""
    settings = file.build(FlowSettings, tree, path)
    if not isinstance(settings, FlowSettings):
        return None
    made = build(name, settings)
    found = list(problems(settings, made))
    for key, problem in found:
        file.problem((*path, *key), problem)
    return None if found else made


def collect(file: YamlFile, wanted: Iterable[str], folder: Path) -> dict[str, Flow]:
    """The flows of a configuration or a scenario: those that it has under ``flows``, and of the wanted
    ones those that have a file in ``folder`` or come with the program. Another name is an account's."""
    inline = file.tree.get("flows") or {}
    if not isinstance(inline, dict):
        file.problem(("flows",), "expected a mapping of names to flows")
        return {}
    made = {str(name): from_tree(file, str(name), tree, ("flows", name)) for name, tree in inline.items()}
    for name in dict.fromkeys(wanted):
        found = find(name, [folder]) if name and name not in made else None
        if found is not None:
            try:
                made[name] = read(found)
            except ConfigError as error:
                file.problem((), str(error))
    return {name: one for name, one in made.items() if one is not None}


def build(name: str, settings: FlowSettings) -> Flow:
    """The flow as the desk runs it."""
    return Flow(
        name=name,
        start=settings.start,
        off_hours=settings.off_hours,
        nodes={key: _node(node) for key, node in settings.nodes.items()},
        human_words=list(settings.human),
        phone_code=settings.phone_code.removeprefix("+"),
    )


def _node(node: NodeSettings) -> Node:
    kind = next((kind for kind in KINDS if getattr(node, kind)), "say")
    return Node(
        kind=kind,  # type: ignore[arg-type]
        say=_texts(node.say),
        then=node.then,
        options=[flow.Option(label=_texts(o.label), then=o.then) for o in node.menu],
        field=node.ask,
        check=node.check,
        invalid=_texts(node.invalid),
        answers=[flow.Answer(words=list(a.words), say=_texts(a.say), then=a.then) for a in node.faq],
        tries=node.tries,
        line=node.line,
        priority=node.priority,
    )


def _texts(text: Text) -> dict[str, str]:
    if isinstance(text, str):
        return {"": text} if text else {}
    return {language: words for language, words in text.items() if words}


# ------------------------------------------------------------------ checking


def problems(settings: FlowSettings, made: Flow) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with a flow as a whole, each with its key."""
    for key in ("start", "off_hours"):
        name = getattr(settings, key)
        if name not in made.nodes and (name or key == "start"):
            yield (key,), unknown_word("node", name, made.nodes)
    for name, node in made.nodes.items():
        yield from _node_problems(settings.nodes[name], made, name, node)
    reached = _reached(made)
    for name in made.nodes:
        if name not in reached:
            yield ("nodes", name), "nothing leads here"
    for name in made.nodes:
        if _speaks_in_a_circle(made, name):
            yield ("nodes", name), "goes in a circle without asking the customer"


def _node_problems(given: NodeSettings, made: Flow, name: str, node: Node) -> Iterator[tuple[KeyPath, str]]:
    path: KeyPath = ("nodes", name)
    chosen = [kind for kind in KINDS if getattr(given, kind)]
    if len(chosen) > 1:
        yield path, f"is {' and '.join(chosen)} at once: make it two nodes"
    if node.kind in ("menu", "ask", "faq") and not node.say:
        yield (*path, "say"), "is missing: what the customer is asked"
    if node.kind in ("say", "ask") and not node.then:
        yield (*path, "then"), "is missing: where it goes on"
    if not name or ":" in name:
        yield path, "a node's name has no colon"
    for target in _targets(node):
        if target not in made.nodes:
            yield path, unknown_word("node", target, made.nodes)
    yield from _way_out_problems(path, name, node)


def _way_out_problems(path: KeyPath, name: str, node: Node) -> Iterator[tuple[KeyPath, str]]:
    for number, option in enumerate(node.options, 1):
        if not option.label:
            yield (*path, "menu", number - 1, "label"), "has no text"
        if len(f"{name}:{number}".encode()) > DATA_LIMIT:
            yield path, f"the name is too long for a button: {DATA_LIMIT - 4} bytes at most"
    for number, answer in enumerate(node.answers):
        if not answer.say or not any(word.strip() for word in answer.words):
            yield (*path, "faq", number), "needs words, and what is said to them"


def _targets(node: Node) -> list[str]:
    found = [node.then, *(o.then for o in node.options), *(a.then for a in node.answers)]
    return [name for name in found if name]


def _reached(made: Flow) -> set[str]:
    todo = [name for name in (made.start, made.off_hours) if name]
    reached: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in reached and name in made.nodes:
            reached.add(name)
            todo += _targets(made.nodes[name])
    return reached


def _speaks_in_a_circle(made: Flow, start: str) -> bool:
    name, seen = start, set()
    while name in made.nodes and made.nodes[name].kind == "say":
        if name in seen:
            return True
        seen.add(name)
        name = made.nodes[name].then
    return False


# ------------------------------------------------------------------ finding


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """The file of the flow ``name``: in the first of the folders that has it, else among those that
    come with the program."""
    for folder in (*folders, SHIPPED):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    return None
