"""``navbat check``: everything that can be known before a desk starts, told at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import http.client
import os
import re
import socket
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bots import registry
from bots.base import Secret
from crm.kernel.errors import ConfigError, NavbatError
from crm.operators import accounts
from navbat.config.backends import make_log, make_store, opened, place_of
from navbat.config.file import BadConfig, YamlFile
from navbat.config.lines import member_problem
from navbat.config.types import Config, read
from navbat.run.embedded import belongs_to, find_server, socket_home
from navbat.run.serving import near_socket
from navbat.run.web.door import is_loopback
from navbat.run.web.server import tls_context

if TYPE_CHECKING:
    from router.gateway.health import Risk
    from router.log.log import Log

ONLINE_TIMEOUT = 20.0


class Findings(msgspec.Struct):
    """What was found: how it will run, what is doubtful, what keeps it from running."""

    facts: list[str] = []
    warnings: list[str] = []
    problems: list[str] = []


async def check(path: Path, *, online: bool = False) -> int:
    """Prints the findings and returns the exit status: 1 when there is a problem."""
    found = Findings()
    try:
        config, file = read(path)
        found.problems += file.problems
    except BadConfig as error:
        found.problems += error.problems
        config = None
    except ConfigError as error:
        found.problems.append(f"{error}" + (f"; {error.hint}" if error.hint else ""))
        config = None
    if config is not None:
        _secrets(config, file, found)
        running = _data_folder(config, found)
        _gateway(config, found, running=bool(running))
        _redis(config, found)
        if running is not None or config.mongodb:
            await _store(config, found)
        _channels(config, found)
        if online:
            await _online(config, found)
    for fact in found.facts:
        print(fact)
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for problem in found.problems:
        print(f"problem: {problem}", file=sys.stderr)
    count = len(found.problems)
    print(f"{count} problem{'s' * (count > 1)}" if count else "ok")
    return 1 if found.problems else 0


def _secrets(config: Config, file: YamlFile, found: Findings) -> None:
    """Secrets belong into the environment or a file of their own, not into the configuration."""
    for name, settings in config.channels.items():
        for key in settings.__struct_fields__:
            path = ("channels", name, key)
            if isinstance(getattr(settings, key), Secret) and _literal(file, path):
                found.warnings.append(
                    f"channels.{name}.{key} stands in the file as it is: better ${{NAME}} or ${{file:/path}}"
                )
    for key in ("redis", "mongodb"):
        if re.search(r"://[^/@]*:[^/@]+@", getattr(config, key)) and (key,) not in file.referenced:
            found.warnings.append(f"{key} contains a password: better ${{NAME}} or ${{file:/path}}")


def _literal(file: YamlFile, path: tuple[str, ...]) -> bool:
    node: Any = file.tree
    for step in path:
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return bool(node) and path not in file.referenced


def _data_folder(config: Config, found: Findings) -> bool | None:
    """Whether a desk runs on the folder now; None for one that cannot be used."""
    folder = config.folder
    problem = _impossible(folder) or next(filter(None, (_impossible(folder / name) for name in FOLDERS)), "")
    problem = problem or next(filter(None, (_no_file(folder / name) for name in FILES)), "")
    if problem:
        found.problems.append(f"data: {problem}")
        return None
    if not config.redis and near_socket(folder) is None:
        elsewhere = Path(socket_home())
        found.facts.append(f"data: the path is too long for a socket: that of Redis will be in {elsewhere}")
        if refused := _impossible(elsewhere):
            found.problems.append(f"data: {folder} is too long for a socket, and {refused}")
    if not (config.redis and config.mongodb):
        try:
            belongs_to(folder, config.desk)
        except NavbatError as error:
            found.problems.append(f"data: {error}; {error.hint}")
    running = _locked(folder / "lock")
    state = " (a desk runs on it now)" if running else "" if folder.exists() else " (will be made)"
    found.facts.append(f"data: {folder}{state}")
    return running


FOLDERS = ("redis", "media")
FILES = ("navbat.sqlite", "lock", "desk")
"""What a desk makes in its data folder."""


def _impossible(folder: Path) -> str:
    """Why this can be no folder of ours, now or after it was made; empty when it can."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.is_symlink() or path.exists())
    except OSError as error:
        return f"{folder} cannot be a folder: {error.strerror}"
    if not there.exists():
        return f"{there} is a link to a place that is not there"
    if not there.is_dir():
        return f"{folder} cannot be written: {there} is a file, and no folder"
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"{folder} cannot be written: the file system of {there} is read-only"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{folder} cannot be written: {there} does not let us"
    try:  # a right to write is not all that it takes
        with tempfile.TemporaryDirectory(prefix=".navbat-check-", dir=there):
            return ""
    except OSError as error:
        return f"{folder} cannot be written: {there}: {error.strerror}"


def _no_file(path: Path) -> str:
    """Why this can be no file of ours."""
    if path.is_dir():
        return f"{path} is a folder, and should be a file"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} does not let us read and write"
    return ""


def _locked(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _gateway(config: Config, found: Findings, *, running: bool) -> None:
    host, port = config.gateway.address
    try:
        how = "TLS" if tls_context(config.gateway) else "plain HTTP"
        found.facts.append(f"gateway: {config.gateway.listen} ({how})")
    except NavbatError as error:
        found.problems.append(str(error))
    settings = config.gateway
    if settings.behind_proxy and not settings.proxies and not is_loopback(host):
        found.warnings.append(
            "gateway: only a proxy on this machine is believed about addresses: name yours in gateway.proxies"
        )
    if running or not port:
        return
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if config.redis and error.errno == errno.EADDRINUSE and _serves(config, address):
            found.warnings.append(
                f"gateway.listen: a navbat serves at {config.gateway.listen} now: this desk's, or another's"
            )
            return
        found.problems.append(f"gateway.listen: {config.gateway.listen} cannot be used: {error.strerror}")


def _serves(config: Config, address: tuple[Any, ...]) -> bool:
    """Whether a gateway or a receiver answers there: parts that run alone hold no lock that could be seen."""
    host, port = address[:2]
    link = http.client.HTTPConnection(host, port, timeout=2)
    try:
        if config.gateway.tls:
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            link = http.client.HTTPSConnection(host, port, timeout=2, context=trusting)
        with contextlib.closing(link):
            link.request("GET", "/health/live")
            return link.getresponse().read(100) == b'{"live":true}'
    except (OSError, http.client.HTTPException):
        return False


def _redis(config: Config, found: Findings) -> None:
    if config.redis:
        found.facts.append(f"redis: external, {_without_password(config.redis)}")
        return
    try:
        server, version = find_server()
        found.facts.append(f"redis: embedded, redis-server {version} ({server})")
    except NavbatError as error:
        found.problems.append(f"{error}; {error.hint}")


async def _store(config: Config, found: Findings) -> None:
    """Where the history will be, and whether the lines' members have accounts there."""
    if config.mongodb:
        found.facts.append(f"store: external MongoDB, {_without_password(config.mongodb)}")
        return
    place = place_of(config, "")
    file = config.folder / "navbat.sqlite"
    found.facts.append(f"store: embedded SQLite, {file}")
    known = {}
    if file.exists():
        store = make_store(place)
        try:
            await opened(store)
            known = {account.name: account for account in await accounts.list_accounts(store)}
        except NavbatError as error:
            found.problems.append(f"data: {error}" + (f"; {error.hint}" if error.hint else ""))
            return
        finally:
            await store.close()
    _members(config, known, found)


def _members(config: Config, known: dict[str, Any], found: Findings) -> None:
    for name, line in config.lines.items():
        _bot(name, line.bot, config, known, found)
        for member in dict.fromkeys(line.members):
            if wrong := member_problem(member, known):
                found.problems.append(f"lines.{name}.members: {wrong}")
        if not line.members and not any(name in account.lines for account in known.values()):
            found.warnings.append(f"lines.{name} has no member yet")
    if not config.lines:
        found.warnings.append("there is no line: nothing can be routed")


def _bot(line: str, bot: str | bool, config: Config, known: dict[str, Any], found: Findings) -> None:
    """A line's bot is a flow or an account of that role; nobody else ever answers as one."""
    if not isinstance(bot, str) or bot in ("", "off") or bot in config.flows:
        return
    account = known.get(bot)
    if account is None:
        found.problems.append(
            f"lines.{line}.bot: {bot} is no flow and has no account; "
            f"`navbat operator add {bot} --role bot --token` makes one"
        )
    elif account.disabled or account.role != "bot":
        why = "is disabled" if account.disabled else f"is of role {account.role}, not bot"
        found.problems.append(f"lines.{line}.bot: the account {bot} {why}")


def _channels(config: Config, found: Findings) -> None:
    for name, settings in config.channels.items():
        found.facts.append(f"channel {name}: {settings.kind}, to line {settings.line}")
    if not config.channels:
        found.facts.append("channels: none")


async def _online(config: Config, found: Findings) -> None:
    """Asks everything external whether it is there and who we are to it."""
    if config.redis:
        log = make_log(place_of(config, config.redis))
        for risk in await _ask("redis", _risks(log), found) or ():
            fatal = risk.fatal and not config.accept_volatile_redis
            (found.problems if fatal else found.warnings).append(f"redis: {risk.text}")
        _where(log, found)
        await log.close()
    if config.mongodb:
        store = make_store(place_of(config, ""))
        listing = _accounts(store)
        known = await _ask("mongodb", listing, found)
        await store.close()
        if known is not None:
            _members(config, known, found)
    for name, settings in config.channels.items():
        channel = registry.channel_type(settings.kind)(name, settings)
        await channel.open()
        try:
            told = await _ask(f"channel {name}", channel.who_am_i(), found)
        finally:
            await channel.close()
        if told:
            found.facts.append(f"channel {name}: we are {told}")


def _where(log: Log, found: Findings) -> None:
    """Which node has the desk now."""
    from router.log.home import home_of

    home = home_of(log.redis)
    if home is not None and home.address:
        found.facts.append(f"redis: the master is {home.address}, with {home.replicas} replicas")


async def _risks(log: Log) -> list[Risk]:
    """Asked after a write: what takes none is a problem of its own."""
    from router.gateway.health import risks

    await log.probe(60_000)
    return await risks(log)


async def _accounts(store: Any) -> dict[str, Any]:
    await store.open()
    return {account.name: account for account in await accounts.list_accounts(store)}


async def _ask(what: str, question: Any, found: Findings) -> Any:
    """The answer, or None after noting that there was none."""
    try:
        async with asyncio.timeout(ONLINE_TIMEOUT):
            return await question
    except NavbatError as error:
        found.problems.append(f"{what}: {error}")
    except TimeoutError:
        found.problems.append(f"{what}: no answer in {ONLINE_TIMEOUT:.0f} s")
    return None


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", url)
