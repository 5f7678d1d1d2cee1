"""What the console remembers on this computer: looks and drafts, and through ``console.logins`` who one is.

Files live in the user's state folder (``NAVBAT_STATE`` overrides it), are written whole and renamed
into place, and are readable by the user only. A file that cannot be read counts as absent: losing a
preference must never keep an operator from the desk.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import msgspec

from console.logins import SavedLogins, write_private

log = logging.getLogger(__name__)


class Preferences(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Preferences of this user on this computer."""

    server: str = ""
    name: str = ""
    language: str = ""
    """``en``, ``ru`` or ``uz``; empty follows the locale."""
    theme: str = "navbat-dark"
    sound: bool = False
    enter_sends: bool = True
    show_list: bool = True
    show_card: bool = True
    views: dict[str, list[str]] = {}
    """``<type of object>/<name>`` -> the conditions of a saved view of its list."""
    discarded: list[str] = []
    """Ids of failed messages the operator has put aside (the newest 500)."""


def state_folder() -> Path:
    """Where this user's console keeps its files; created on first use."""
    given = os.environ.get("NAVBAT_STATE", "")
    if given:
        folder = Path(given)
    else:
        from platformdirs import user_state_path  # 4 ms, and tests never need it

        folder = user_state_path("navbat", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


class Shelf:
    """The state folder: settings and drafts by name; and the saved logins."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or state_folder()
        self.logins = SavedLogins(folder)

    def load(self) -> Preferences:
        try:
            return msgspec.json.decode((self.folder / "console.json").read_bytes(), type=Preferences)
        except (OSError, msgspec.MsgspecError):
            return Preferences()

    def save(self, settings: Preferences) -> None:
        """Keeps the preferences where the folder can be written to."""
        settings.discarded = settings.discarded[-500:]
        kept = msgspec.json.format(msgspec.json.encode(settings))
        try:
            write_private(self.folder / "console.json", kept)
        except OSError as error:
            log.warning("the settings are not saved: %s", error.strerror)

    # -------------------------------------------------------------- tokens

    def token(self, server: str) -> str:
        """The saved token of a server, or an empty string."""
        return self.logins.token(server)

    def save_token(self, server: str, token: str, name: str = "") -> None:
        """Keeps the token of ``name`` as this computer's last login. An empty one forgets it."""
        try:
            if token:
                self.logins.keep(server, name, token)
            else:
                self.logins.forget(server)
        except OSError as error:
            log.warning("the token is not saved: %s", error.strerror)

    # -------------------------------------------------------------- drafts

    def drafts(self, server: str, name: str) -> Drafts:
        return Drafts(self.folder / f"drafts-{_short(server, name)}.json")


class Unconfirmed(msgspec.Struct):
    """A command that the desk has not answered: its frame as text, and when it was given (ms)."""

    at: int
    frame: str


class Drafts:
    """Unsent texts by session and kind (``reply``, ``note`` or ``whisper``), kept across restarts. What was sent
    and not confirmed is kept too, as a whole and under its command's id: a console that ended before the
    desk answered asks with the same id what became of it, and says nothing twice. Another console of the
    same login may keep its own in the same file: each writes only what it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts = self._stored() or {}
        self._changed: set[str] = set()
        """Keys whose text is not on the disk yet."""
        self._recover()

    def _stored(self) -> dict[str, str] | None:
        """What is on the disk; None when nothing that can be read is."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError):
            return None

    def _recover(self) -> None:
        """Earlier versions kept the text alone: it stands before the draft of its composer again."""
        for key in [key for key in self._texts if key.count("/") == 2]:
            try:
                msgspec.json.decode(self._texts[key], type=Unconfirmed)
            except msgspec.MsgspecError:
                session, kind, _ = key.split("/")
                text, later = self._texts.pop(key), self.get(session, kind)
                self.set(session, kind, text + ("\n" + later if later else ""))
                self._changed.add(key)

    def sent(self, session: str, kind: str, command: str, what: Unconfirmed) -> None:
        """Keeps it until ``confirmed``."""
        self.set(session, f"{kind}/{command}", msgspec.json.encode(what).decode())

    def unconfirmed(self) -> list[Unconfirmed]:
        """What was sent and never answered, in the order in which it was given."""
        kept = [text for key, text in self._texts.items() if key.count("/") == 2]
        return sorted((msgspec.json.decode(text, type=Unconfirmed) for text in kept), key=lambda one: one.at)

    def confirmed(self, session: str, kind: str, command: str) -> None:
        self.set(session, f"{kind}/{command}", "")

    def get(self, session: str, kind: str) -> str:
        return self._texts.get(f"{session}/{kind}", "")

    def set(self, session: str, kind: str, text: str) -> None:
        """Remembers ``text`` until ``save``; an empty one is forgotten."""
        key = f"{session}/{kind}"
        if self._texts.get(key, "") == text:
            return
        if text:
            self._texts[key] = text
        else:
            self._texts.pop(key, None)
        self._changed.add(key)

    def save(self) -> bool:
        """Writes what changed; False when the folder cannot be written to."""
        if not self._changed:
            return True
        stored = self._stored()
        if stored is None:
            stored = self._texts
        mine = {key: self._texts[key] for key in self._changed & self._texts.keys()}
        kept = {key: text for key, text in stored.items() if key not in self._changed} | mine
        try:
            write_private(self._path, msgspec.json.encode(kept))
        except OSError as error:
            log.warning("drafts are not saved: %s", error.strerror)
            return False
        self._changed.clear()
        return True


def _short(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
