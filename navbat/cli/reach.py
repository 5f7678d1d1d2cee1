"""Commands that work on the store, whether the desk runs or not; a running desk is told at once."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from crm.kernel.errors import NavbatError, Refused, Unavailable
from crm.kernel.ports import Store
from navbat.config.backends import make_log, make_store, place_of
from navbat.config.types import Config
from navbat.run.embedded import belongs_to, make_private
from navbat.run.serving import attach
from storage.migrations.migrating import refuse_newer

if TYPE_CHECKING:
    from router.log.log import Log

TELL_TIMEOUT = 3.0

_REFUSALS = {
    "bad_name": "a name is 1 to 32 letters, digits, dots, underscores and hyphens",
    "bad_password": "a password has {least} to 1024 characters",
    "common_password": "this password is among those that everybody tries first: choose another one",
    "name_as_password": "a name is no password: choose another one",
    "bad_role": "there is no role {role}",
    "account_exists": "there is an account {name} already",
    "no_such_account": "there is no account {name}",
    "no_such_token": "{name} has no such token",
    "bad_settings": "{problems}",
    "no_such_line": "there is no line {line}",
    "no_such_version": "line {line} has no version {version}",
    "line_changed": "line {line} was changed meanwhile: version {version} by {by} is in force. Look again",
}


@contextlib.asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """The desk's store. What is refused inside becomes a sentence."""
    if not config.mongodb:
        make_private(config.folder)
        belongs_to(config.folder, config.desk)
    store = make_store(place_of(config, ""))
    try:
        await store.open()
        await refuse_newer(store)
        yield store
    except Refused as refused:
        text = _REFUSALS.get(refused.code)
        raise NavbatError(text.format_map(refused.params) if text else str(refused)) from refused
    finally:
        await store.close()


async def admit(log: Log, *, accept: bool) -> None:
    """Whether a configured Redis can carry a desk. What it may lose is said on stderr; raises
    ``NavbatError`` when it will lose something in ordinary operation and nobody accepts that, and
    ``Unavailable`` when it takes no writes now."""
    from router.gateway.health import risks

    await log.probe(60_000)
    for risk in await risks(log):
        if risk.fatal and not accept:
            raise NavbatError(
                f"redis: {risk.text}",
                "or write `accept_volatile_redis: on` into the configuration, if messages may be lost",
            )
        print(f"warning: redis: {risk.text}", file=sys.stderr, flush=True)


async def tell(config: Config, say: Callable[[Log], Awaitable[bool]]) -> None:
    """Tells a running desk; ``say`` returns whether there is one. One that does not run will be told
    at its start."""
    url = config.redis
    if not url:
        with contextlib.suppress(Unavailable):
            url = await attach(config.folder)
    told = False
    if url:
        log = make_log(place_of(config, url))
        try:
            async with asyncio.timeout(TELL_TIMEOUT):
                told = await say(log)
        except (Unavailable, TimeoutError):
            told = False
        finally:
            await log.close()
    if not told:
        print("the desk is not running: it will know when it starts", file=sys.stderr)


def by() -> str:
    """Who the audit says it was: the system's user."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"
