"""The configuration: what ``config.yaml`` may say, and how it becomes what the desk uses.

Durations are ``Duration`` (ms), written with units. A key that is not listed here is refused.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import platformdirs

from crm.kernel.errors import ConfigError
from navbat.cli.arguments import language_problem, unknown_word
from navbat.config import flows
from navbat.config.crm import Crm, crm_problems
from navbat.config.declared import Settings
from navbat.config.file import Duration, KeyPath, YamlFile
from navbat.config.lines import Line, Operator, joint_problems, operator_problems, problems, problems_now
from router.desk.events import LinesConfigured
from router.log.address import problem as redis_problem

DEFAULT_FILE = Path("config.yaml")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _about(description: str) -> Any:
    return msgspec.Meta(description=description)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Tls(Settings, frozen=True):
    """The certificate the gateway shows."""

    cert: Annotated[str, _about("PEM file with the certificate chain")]
    key: Annotated[str, _about("PEM file with the private key")]


class GatewaySettings(Settings, frozen=True):
    """Where consoles, scripts, web hooks and the web chat connect."""

    listen: Annotated[str, _about("`host:port`; port 0 chooses a free one and prints it")] = "127.0.0.1:8700"
    tls: Annotated[Tls | None, _about("serve HTTPS with this certificate")] = None
    behind_proxy: Annotated[bool, _about("a reverse proxy in front terminates TLS")] = False
    proxies: Annotated[
        list[str],
        _about(
            "addresses or networks of the proxies whose `X-Forwarded-For` is believed; with `behind_proxy` "
            "and none named, one on this machine is"
        ),
    ] = msgspec.field(default_factory=list)
    origins: Annotated[
        list[str],
        _about(
            "pages whose scripts may open the wire, as `https://desk.example.com`; none named: those that "
            "come from the gateway's own address. Programs that are no browser name no origin and are not asked"
        ),
    ] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for origin in self.origins:
            if not _ORIGIN.match(origin):
                raise ValueError(
                    f"origins: {origin!r} is none: write https://name, with a port if it has one"
                )
        _ = self.trusted
        host, _ = self.address
        if not _is_loopback(host) and not (self.tls or self.behind_proxy):
            raise ValueError(
                f"{host} can be reached from outside this machine: set tls: {{cert: …, key: …}}, or "
                "behind_proxy: on when a proxy in front of it terminates TLS, or listen on 127.0.0.1"
            )

    @property
    def trusted(self) -> list[Network]:
        """The proxies whose word about addresses counts. Raises ``ValueError`` when one is no network."""
        named = self.proxies or (["127.0.0.0/8", "::1"] if self.behind_proxy else [])
        try:
            return [ipaddress.ip_network(text) for text in named]
        except ValueError as error:
            raise ValueError(f"proxies: {error}: write an address or a network such as 10.0.0.0/8") from None

    @property
    def address(self) -> tuple[str, int]:
        """(host, port). Raises ``ValueError`` when ``listen`` is no address."""
        host, colon, port = self.listen.rpartition(":")
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not colon or not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"listen is {self.listen!r}: write host:port, such as 127.0.0.1:8700")
        return host, int(port)


class Config(Settings, frozen=True):
    """The whole file."""

    desk: Annotated[str, _about("name of this desk: letters, digits, `.`, `_`, `-`")] = "desk"
    data: Annotated[
        str, _about("folder of the embedded Redis, SQLite and media; default: the user's data home")
    ] = ""
    gateway: Annotated[GatewaySettings, _about("where the desk is reached")] = GatewaySettings()
    redis: Annotated[
        str,
        _about(
            "`redis://…`, `rediss://…`, `unix:///path`, `redis+sentinel://host,host/name` or "
            "`redis+cluster://host,host`; absent: an embedded redis-server"
        ),
    ] = ""
    accept_volatile_redis: Annotated[
        bool,
        _about(
            "run on a `redis:` that may lose what was acknowledged: one without an append-only file, or one "
            "that drops keys when its memory is full"
        ),
    ] = False
    mongodb: Annotated[str, _about("`mongodb://…`; absent: SQLite in the data folder")] = ""
    lease_ttl: Annotated[
        Duration, _about("a standby router takes over when the active one is silent for so long")
    ] = Duration(3000)
    presence_timeout: Annotated[
        Duration, _about("a console silent for so long makes its operator offline")
    ] = Duration(45_000)
    lines: Annotated[dict[str, Line], _about("the queues, by name")] = msgspec.field(default_factory=dict)
    operators: Annotated[
        dict[str, Operator], _about("what operators can and may, beside what their accounts say")
    ] = msgspec.field(default_factory=dict)
    crm: Annotated[Crm, _about("leads, funnels of deals, and how long data is kept")] = Crm()
    flows: Annotated[
        dict[str, Any], _about("scripted bots by name, written as in a flow's file; beside `flows/NAME.yaml`")
    ] = msgspec.field(default_factory=dict)
    channels: Annotated[
        dict[str, Any], _about("where customers write, by name; each has a `kind` and leads to a `line`")
    ] = msgspec.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    def lines_configured(self) -> LinesConfigured:
        """What the desk is told at start."""
        return LinesConfigured(
            lines={name: line.rules() for name, line in self.lines.items()},
            channels={name: channel.line for name, channel in self.channels.items()},
            kinds={name: channel.kind for name, channel in self.channels.items()},
            presence_timeout=int(self.presence_timeout),
            flows=self.flows,
        )


def locate(given: str | None = None) -> Path:
    """The file to read: ``--config``, else NAVBAT_CONFIG, else ./config.yaml."""
    return Path(given or os.environ.get("NAVBAT_CONFIG") or DEFAULT_FILE)


def load(path: Path, *, channels: bool = True) -> Config:
    """Reads and validates a configuration. Raises ``ConfigError`` (``BadConfig`` lists everything
    that is wrong). Without ``channels`` these are left out, so that no secret of theirs is needed."""
    config, file = read(path, channels=channels)
    file.raise_problems()
    assert config is not None
    return config


def read(path: Path, *, channels: bool = True) -> tuple[Config | None, YamlFile]:
    """As ``load``, but problems stay in the file; the configuration is None where it is unusable."""
    if not path.exists():
        raise ConfigError(
            f"{path} does not exist",
            "write one (docs/reference/configuration.md), or name it by --config FILE or NAVBAT_CONFIG",
        )
    file = YamlFile(path)
    if not isinstance(file.tree, dict):
        raise ConfigError(f"{path}: expected a mapping such as `desk: shop`")
    given = file.tree.get("channels") if channels else None
    if not channels:
        file.tree.pop("channels", None)
    config: Config | None = file.build(
        Config, {k: v for k, v in file.tree.items() if k not in ("channels", "flows")}
    )
    built = _channels(file, given)
    if config is None:
        return None, file
    _check(file, config, built)
    bots = [line.bot for line in config.lines.values() if isinstance(line.bot, str)]
    collected = flows.collect(file, bots, path.parent / "flows")
    home = platformdirs.user_data_path("navbat") / config.desk
    return msgspec.structs.replace(
        config, data=str(_from_file(path, config.data) if config.data else home), channels=built,
        flows=collected,
        gateway=_absolute_tls(path, config.gateway),
    ), file  # fmt: skip


def _channels(file: YamlFile, given: Any) -> dict[str, Any]:
    """The channels' settings, each as its kind's own struct."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        file.problem(("channels",), "expected a mapping of names to channels")
        return {}
    built: dict[str, Any] = {}
    for name, value in given.items():
        settings = _channel(file, ("channels", name), value)
        if settings is not None:
            built[str(name)] = settings
    return built


def _channel(file: YamlFile, path: KeyPath, value: Any) -> Any:
    from bots import registry  # only a configuration with channels needs it

    if not isinstance(value, dict) or "kind" not in value:
        file.problem(path, f"expected a mapping with a kind, one of {', '.join(registry.kinds())}")
        return None
    kind = value["kind"]
    if kind not in registry.kinds():
        file.problem((*path, "kind"), unknown_word("kind", str(kind), registry.kinds()))
        return None
    try:
        return file.build(registry.settings_type(kind), value, path)
    except ConfigError as error:
        file.problem((*path, "kind"), f"{error}. {error.hint}" if error.hint else str(error))
        return None


def _check(file: YamlFile, config: Config, channels: dict[str, Any]) -> None:
    """What no type can say."""
    names: list[KeyPath] = [("lines", name) for name in config.lines]
    names += [("channels", name) for name in channels]
    for path, name in ((("desk",), config.desk), *((path, path[1]) for path in names)):
        if not _NAME.match(str(name)):
            file.problem(path, "a name is 1 to 32 letters, digits, dots, underscores and hyphens")
    _check_lines(file, config)
    for path, problem in crm_problems(config.crm):
        file.problem(("crm", *path), problem)
    for name, channel in channels.items():
        if channel.line not in config.lines:
            file.problem(("channels", name, "line"), unknown_word("line", channel.line, config.lines))
    if config.redis and (wrong := redis_problem(config.redis)):
        file.problem(("redis",), wrong)
    if config.mongodb and not re.match(r"mongodb(\+srv)?://", config.mongodb):
        file.problem(("mongodb",), "expected mongodb://host or mongodb+srv://host")
    for key, least in (("lease_ttl", 500), ("presence_timeout", 5000)):
        if getattr(config, key) < least:
            file.problem((key,), f"must be at least {Duration(least)}")


def _check_lines(file: YamlFile, config: Config) -> None:
    found: list[tuple[KeyPath, str]] = []
    for name, line in config.lines.items():
        found += [(("lines", name, *key), problem) for key, problem in problems(line)]
    found += [(("lines", *key), problem) for key, problem in joint_problems(config.lines)]
    for name, line in config.lines.items():
        now = problems_now(msgspec.structs.asdict(line))
        found += [(("lines", name, *key), problem) for key, problem in now]
        if line.crm_funnel and line.crm_funnel not in config.crm.rules().funnels:
            wrong = unknown_word("funnel", line.crm_funnel, config.crm.rules().funnels)
            found.append((("lines", name, "crm_funnel"), wrong))
    for name, operator in config.operators.items():
        for number, code in enumerate(operator.languages):
            if wrong := language_problem(code):
                found.append((("operators", name, "languages", number), wrong))
        found += [(("operators", name, *key), problem) for key, problem in operator_problems(operator)]
    for path, problem in found:
        file.problem(path, problem)


def _from_file(config: Path, path: str) -> Path:
    return (config.parent / Path(path).expanduser()).absolute()


def _absolute_tls(path: Path, gateway: GatewaySettings) -> GatewaySettings:
    if gateway.tls is None:
        return gateway
    tls = Tls(cert=str(_from_file(path, gateway.tls.cert)), key=str(_from_file(path, gateway.tls.key)))
    return msgspec.structs.replace(gateway, tls=tls)
