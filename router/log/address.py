"""The addresses of Redis that a configuration may name."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

Address = tuple[str, int]
"""Host and port."""

EXPECTED = (
    "expected redis://host:6379, rediss://…, unix:///path, redis+sentinel://host,host/name or "
    "redis+cluster://host,host"
)
_LIST = re.compile(r"(rediss?)\+(sentinel|cluster)://")
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]/@,\s]+))(?::(?P<port>\d{1,5}))?")


class Nodes(NamedTuple):
    """An address with several hosts: ``kind`` is ``sentinel`` or ``cluster``, ``name`` what Sentinels call
    the master, ``options`` how to connect to Redis, ``asking`` how to ask a Sentinel."""

    kind: str
    hosts: list[Address]
    name: str
    options: dict[str, Any]
    asking: dict[str, Any]


def has_nodes(url: str) -> bool:
    """Whether the address names Sentinels or nodes of a cluster."""
    return bool(_LIST.match(url))


def problem(url: str) -> str:
    """What is wrong with an address of Redis; "" when it can be used."""
    try:
        if has_nodes(url):
            apart(url)
        elif not re.match(r"(rediss?|unix)://", url):
            return EXPECTED
        else:
            _ = urlsplit(url).port
    except ValueError as error:
        return str(error)
    return ""


def apart(url: str) -> Nodes:
    """Raises ``ValueError`` with what is wrong."""
    from redis.asyncio.connection import parse_url

    match = _LIST.match(url)
    assert match is not None
    scheme, kind = match.groups()
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    nodes = [_node(host, 26379 if kind == "sentinel" else 6379) for host in hosts.split(",")]
    name, _, db = parts.path.strip("/").partition("/")
    query = parse_qs(parts.query)
    asking = {word: query.pop(f"sentinel_{word}", [""])[0] for word in ("username", "password")}
    if kind == "sentinel" and not name:
        raise ValueError("a Sentinel's address ends with the master's name: redis+sentinel://host,host/name")
    if kind == "cluster" and (name or db):
        raise ValueError("a cluster has no numbered databases: the address ends behind the last host")
    plain = f"{scheme}://{login}{at}localhost/{db}?{urlencode(query, doseq=True)}"
    options = dict(parse_url(plain))
    for word in ("host", "port"):
        options.pop(word, None)
    return Nodes(kind, nodes, name, options, {word: value for word, value in asking.items() if value})


def _node(text: str, port: int) -> Address:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no host and port")
    return found["six"] or found["host"], int(found["port"] or port)
