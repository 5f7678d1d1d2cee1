"""Small screens over the desk: pick one of many, ask for a line, show a text, choose a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import events, on
from textual._styles_cache import StylesCache
from textual.app import ComposeResult, RenderResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.fuzzy import Matcher
from textual.geometry import Size
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from console.files import is_file, meant
from console.screens.swift import Swift
from console.shell import shell
from console.widgets.dimmed import Behind
from console.widgets.lines import Lines
from crm.kernel.spelling import fold

T = TypeVar("T")


class Modal(Swift, ModalScreen[T | None], Generic[T]):
    """Something in front of the desk. It gives its answer once; and what is typed right after the key that
    opened it is typed into it, however late it comes up."""

    patient: ClassVar[bool] = True
    """Keys that were read before it could take them are kept for it; else they are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._can_take = False
        self._ahead: list[events.Key | events.Paste] = []
        self._laid: Size | None = None
        """The size for which everything has its place."""

    def on_mount(self) -> None:
        self.app.call_later(self._catch_up)

    def on_unmount(self) -> None:
        """Textual remembers two colours of every widget by the widget's own cache of lines, and so keeps the
        lines of a thousand widgets that are gone."""
        StylesCache.get_inner_outer.cache_clear()

    def render(self) -> RenderResult:  # type: ignore[override]  # what any other widget may return
        painted = super().render()
        return Behind(painted) if isinstance(painted, BackgroundScreen) else painted

    def on_screen_resume(self) -> None:
        self._laid = self.app.size

    def on_resize(self, event: events.Resize) -> None:
        """Its first layout tells a screen its size, upon which Textual lays it out once more, and all that
        are behind it: only when that is another one."""
        if event.size == self._laid:
            event.prevent_default()
        self._laid = event.size

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Only in front: Textual takes away whatever screen is, also for a key pressed twice."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()

    def keep(self, event: events.Key | events.Paste) -> bool:
        """Keeps what is typed before this is there; False when it is."""
        if self._can_take or not self.patient:
            return False
        self._ahead.append(event)
        return True

    async def _catch_up(self) -> None:
        """On the app's own turn, so that no other key is looked at meanwhile."""
        self._can_take = True
        ahead, self._ahead = sorted(self._ahead, key=lambda event: event.time), []
        for event in ahead:
            await self._take_late(event)

    async def claims(self, event: events.Key | events.Paste) -> bool:
        """Takes what comes up from what was in front before this: it was typed ahead. False when it comes
        from here."""
        if getattr(event, "aim", self) is self:
            return False
        typed = getattr(event, "typed", event)
        if not self.keep(typed):
            await self._take_late(typed)
        return True

    async def _take_late(self, event: events.Key | events.Paste) -> None:
        """Nothing, when something else is in front by now."""
        if self.app.screen is not self or not self.patient:
            return
        if isinstance(event, events.Key):
            event = events.Key(event.key, event.character)
        else:
            event = events.Paste(event.text)
        await self.app.on_event(event)


class Dialog(Modal[T]):
    """A box in the middle; Escape gives None."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle; background: $background 60%;
        & .box {
            width: 72; max-width: 96%; height: auto; max-height: 90%; padding: 0 1;
            background: $surface; border: round $rule; border-title-color: $foreground;
            border-title-style: bold; border-subtitle-color: $faint;
        }
        & Input { border: none; height: 1; padding: 0 1; background: $panel; margin: 0 0 1 0; }
        & Input:focus { border: none; }
        & OptionList {
            border: none; height: auto; max-height: 14; background: $surface; padding: 0;
            text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        }
        & OptionList:focus { border: none; }
        & .hint { color: $faint; height: auto; }
        & .body { height: auto; max-height: 24; scrollbar-size-vertical: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._heading = title

    def box(self) -> Vertical:
        """The frame with its title, as plain text."""
        box = Vertical(classes="box")
        box.border_title = Text(self._heading).markup
        box.border_subtitle = Text(shell(self).words("dialog.escape")).markup
        return box


@dataclass(frozen=True)
class Choice:
    """Something to pick: ``label`` is searched, ``detail`` stands beside it."""

    id: str
    label: str
    detail: str = ""


def prompt(choice: Choice, matcher: Matcher | None = None) -> Text:
    """A choice as an option's text, with what was matched underlined."""
    text = Text(no_wrap=True, overflow="ellipsis")
    start = len(text)
    text.append(choice.label)
    if matcher is not None:
        for number in _matched(matcher.query, choice.label):
            text.stylize("underline bold", start + number, start + number + 1)
    if choice.detail:
        text.append("  " + choice.detail, "dim")
    return text


def _matched(query: str, label: str) -> list[int]:
    """Where the letters of a folded query stand in a label."""
    letters = [fold(letter) for letter in label]
    places: list[int] = []
    start = 0
    for letter in query:
        found = next((n for n in range(start, len(letters)) if letter in letters[n]), -1)
        if found < 0:
            return []
        places.append(found)
        start = found + 1
    return places


class PickScreen(Dialog[str]):
    """Pick one: type to narrow the list, Enter takes the marked one. Without ``typing`` the choices
    are numbered, and a digit takes one at once."""

    def __init__(self, title: str, choices: Sequence[Choice], *, typing: bool = True) -> None:
        super().__init__(title)
        self._choices = list(choices)
        self._typing = typing

    def compose(self) -> ComposeResult:
        with self.box():
            if self._typing:
                yield Input(placeholder=shell(self).words("dialog.filter"), id="query")
            yield OptionList(*self._options(""), id="options", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0 if self._choices else None

    def _options(self, query: str) -> list[Option]:
        if not query:
            return [
                Option(self._numbered(n, choice), id=choice.id) for n, choice in enumerate(self._choices, 1)
            ]
        matcher = Matcher(fold(query))
        scored = [(matcher.match(fold(choice.label)), choice) for choice in self._choices]
        fitting = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])
        return [Option(prompt(choice, matcher), id=choice.id) for _, choice in fitting]

    def _numbered(self, number: int, choice: Choice) -> Text:
        text = prompt(choice)
        return text if self._typing or number > 9 else Text(f"{number} ", "dim") + text

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(self._options(event.value.strip()))
        options.highlighted = 0 if options.option_count else None

    @on(Input.Submitted)
    def _take(self) -> None:
        self.query_one(OptionList).action_select()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def on_key(self, event: events.Key) -> None:
        options = self.query_one(OptionList)
        if self._typing and event.key in ("up", "down"):
            (options.action_cursor_up if event.key == "up" else options.action_cursor_down)()
            event.stop()
        elif not self._typing and event.key in "123456789"[: len(self._choices)]:
            self.dismiss(self._choices[int(event.key) - 1].id)
            event.stop()


class AskScreen(Dialog[str]):
    """Ask for one line of text; Enter gives it, also when it is empty."""

    def __init__(self, title: str, placeholder: str = "", value: str = "") -> None:
        super().__init__(title)
        self._placeholder, self._value = placeholder, value

    def compose(self) -> ComposeResult:
        with self.box():
            yield Input(self._value, placeholder=self._placeholder, id="answer")

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class ShowScreen(Dialog[str]):
    """Shows a text that can be scrolled; any of Escape, Enter and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q", "dismiss(None)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("home,g", "scroll(-1_000_000)", show=False),
        Binding("end,G", "scroll(1_000_000)", show=False),
    ]

    def __init__(self, title: str, text: Text | Sequence[Text] | Callable[[int], Sequence[Text]]) -> None:
        """``text`` as one, in lines, or as what gives its lines for a width."""
        super().__init__(title)
        self._text = list(text.split(allow_blank=True)) if isinstance(text, Text) else text

    def compose(self) -> ComposeResult:
        with self.box(), VerticalScroll(classes="body", can_focus=False):
            yield Lines(self._text)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


class StopScreen(Dialog[str]):
    """Says what has happened and takes every key but Escape: somebody may be typing on."""

    patient = False

    DEFAULT_CSS = """
    StopScreen .box { border: round $error; }
    """

    def __init__(self, why: str) -> None:
        super().__init__("✗")
        self._why = why

    def compose(self) -> ComposeResult:
        with self.box():
            yield Static(self._why, markup=False)

    def on_key(self, event: events.Key) -> None:
        if event.key != "escape":
            event.stop()
            event.prevent_default()


class FileScreen(Dialog[str]):
    """Choose a file by its path; Tab completes, Up and Down pick among what fits."""

    def compose(self) -> ComposeResult:
        with self.box():
            yield Input(str(Path.cwd()) + "/", id="path")
            yield OptionList(id="options", markup=False)
            yield Static(shell(self).words("files.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).action_end()

    @on(Input.Changed)
    def _list(self, event: Input.Changed) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Text(path), id=path) for path in completions(event.value)])
        options.highlighted = 0 if options.option_count else None

    def on_key(self, event: events.Key) -> None:
        options = self.query_one(OptionList)
        if event.key in ("up", "down"):
            (options.action_cursor_up if event.key == "up" else options.action_cursor_down)()
        elif event.key == "tab" and options.highlighted is not None:
            self._put(options.get_option_at_index(options.highlighted).id or "")
        else:
            return
        event.stop()
        event.prevent_default()

    def _put(self, path: str) -> None:
        box = self.query_one(Input)
        box.value = path
        box.action_end()

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        path = meant(event.value)
        options = self.query_one(OptionList)
        if is_file(path):
            self.dismiss(str(path))
        elif options.highlighted is not None:
            chosen = options.get_option_at_index(options.highlighted).id or ""
            if is_file(Path(chosen)):
                self.dismiss(chosen)
            else:
                self._put(chosen)
        else:
            self.query_one(".hint", Static).update(shell(self).words("files.none"))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self._put(event.option_id or "")
        self.query_one(Input).focus()


def completions(typed: str, limit: int = 50) -> list[str]:
    """Paths that begin with what was typed: folders (with a slash) first, hidden ones only when
    asked for by a dot."""
    path = meant(typed)
    folder, start = (path, "") if typed.endswith("/") else (path.parent, path.name)
    try:
        entries = [
            entry
            for entry in folder.iterdir()
            if entry.name.casefold().startswith(start.casefold())
            and (start.startswith(".") or not entry.name.startswith("."))
        ]
        entries.sort(key=lambda entry: (not entry.is_dir(), entry.name.casefold()))
        return [f"{entry}/" if entry.is_dir() else str(entry) for entry in entries[:limit]]
    except (OSError, ValueError):
        return []
