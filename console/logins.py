"""The saved logins of this user: one store for the console, its plain mode and ``navbat`` commands.

A file that only its user can read (0600) has the server that was used last, the name there, and the
tokens that the desks gave; never a password. Where the system has a keyring the tokens are in that.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

SERVICE = "navbat"
DEFAULT_URL = "http://127.0.0.1:8700"


class SavedLogin(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is in the file."""

    url: str = ""
    """Of the server that was signed in at last."""
    name: str = ""
    token: str = ""
    """Of that server, where no keyring has it."""
    tokens: dict[str, str] = {}
    """Of other servers."""


def login_file() -> Path:
    """Where logins are kept: in the state folder where ``NAVBAT_STATE`` names one, else among the
    user's configuration."""
    given = os.environ.get("NAVBAT_STATE", "")
    return _in(Path(given)) if given else _of_user()


def _in(folder: Path) -> Path:
    return (folder / "login").with_suffix(".json")


def _of_user() -> Path:
    import platformdirs  # 4 ms

    return _in(platformdirs.user_config_path("navbat"))


def _state() -> Path:
    import platformdirs

    return Path(os.environ.get("NAVBAT_STATE") or platformdirs.user_state_path("navbat", appauthor=False))


def write_private(path: Path, data: bytes) -> None:
    """Replaces ``path`` by ``data``, whole or not at all, readable by this user only."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


class SavedLogins:
    """The store. It is read anew each time: another console may have signed in meanwhile."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: instead of the user's own."""
        self.file = _in(folder) if folder is not None else login_file()
        self._fallback = None if folder is not None or self.file == _of_user() else _of_user()
        self._older = (folder if folder is not None else _state()) / "tokens.json"
        """Tokens by server, as earlier consoles kept them."""

    def _saved(self) -> list[SavedLogin]:
        """What is in the files, the one that counts first."""
        return [_read_saved(file) for file in (self.file, self._fallback) if file is not None]

    def last(self) -> SavedLogin:
        """The server that was used last, and who was there."""
        return next((saved for saved in self._saved() if saved.url), SavedLogin())

    def token(self, url: str) -> str:
        """The saved token of a server, or an empty string."""
        ring = _keyring()
        found = _ask(ring, "get_password", SERVICE, url) if ring is not None else ""
        if found:
            return str(found)
        for saved in self._saved():
            token = saved.token if saved.url == url else saved.tokens.get(url, "")
            if token:
                return token
        return self._older_tokens().get(url, "")

    def keep(self, url: str, name: str, token: str) -> Path:
        """Remembers a login as the last one. Raises OSError where the file cannot be written."""
        ring = _keyring()
        kept = ring is not None and _ask(ring, "set_password", SERVICE, url, token) is not False
        saved = _without(_read_saved(self.file), url)
        others = saved.tokens | ({saved.url: saved.token} if saved.token else {})
        self._write(self.file, SavedLogin(url=url, name=name, token="" if kept else token, tokens=others))
        return self.file

    def forget(self, url: str) -> None:
        """Drops the token of a server, wherever it is. Raises OSError."""
        ring = _keyring()
        if ring is not None:
            _ask(ring, "delete_password", SERVICE, url)
        for file in (self.file, self._fallback):
            if file is not None and file.exists():
                self._write(file, _without(_read_saved(file), url))
        older = self._older_tokens()
        if older.pop(url, ""):
            write_private(self._older, msgspec.json.encode(older))

    def _older_tokens(self) -> dict[str, str]:
        return _read(self._older, dict[str, str]) or {}

    def _write(self, file: Path, saved: SavedLogin) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, msgspec.json.format(msgspec.json.encode(saved)))


def _without(saved: SavedLogin, url: str) -> SavedLogin:
    tokens = {server: token for server, token in saved.tokens.items() if server != url}
    return msgspec.structs.replace(saved, tokens=tokens, token="" if saved.url == url else saved.token)


def _read_saved(file: Path) -> SavedLogin:
    saved: SavedLogin = _read(file, SavedLogin) or SavedLogin()
    if saved.token and not saved.url:
        saved.url = DEFAULT_URL  # earlier versions wrote no address that was the default
    return saved


def _read(file: Path, kind: Any) -> Any:
    """What is in a file; None when it cannot be read: losing a login must not keep anybody away."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _keyring() -> Any:
    """The keyring module, or None where it is absent, switched off or has no working backend."""
    if os.environ.get("NAVBAT_KEYRING") == "off":
        return None
    try:
        ring = importlib.import_module("keyring")
        fail = importlib.import_module("keyring.backends.fail")
    except ImportError:
        return None
    return None if isinstance(ring.get_keyring(), fail.Keyring) else ring


def _ask(ring: Any, verb: str, *args: str) -> Any:
    """A keyring call; False when the keyring refuses (locked, no session bus)."""
    try:
        return getattr(ring, verb)(*args)
    except ring.errors.KeyringError:
        return False
