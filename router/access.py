"""Who may do what, in which line. Deny by default; the gateway asks here for every command and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crm.records import Account
from router import protocol
from router.events import LineRules

RIGHTS: dict[str, frozenset[str]] = {
    "operator": frozenset({"read", "work"}),
    "bot": frozenset({"read", "work"}),
    "supervisor": frozenset({"read", "work", "lead", "audit"}),
    "admin": frozenset({"read", "work", "lead", "audit", "administer"}),
}
"""``read`` a line's sessions, ``work`` in it, ``lead`` it (act on what others hold), see its
``audit``, ``administer`` the desk."""

NEEDED: dict[type[protocol.Frame], str] = {
    protocol.Say: "work",
    protocol.Note: "work",
    protocol.Take: "work",
    protocol.Skip: "work",
    protocol.Return: "work",
    protocol.Transfer: "work",
    protocol.Close: "work",
    protocol.Pin: "work",
    protocol.Resend: "work",
    protocol.EditMessage: "work",
    protocol.MarkRead: "read",
    protocol.Open: "read",
    protocol.Leave: "read",
    protocol.GetThread: "read",
    protocol.GetWhy: "read",
    protocol.Start: "work",
    protocol.Typing: "work",
}
"""The right each frame about one session or line needs there."""


class Access:
    """What one login may do now."""

    def __init__(self, account: Account, lines: Mapping[str, LineRules]) -> None:
        self.name = account.name
        self.role = account.role
        self.rights = RIGHTS[account.role] if not account.disabled else frozenset()
        self.lines = frozenset(self._lines(account, lines))

    @staticmethod
    def _lines(account: Account, lines: Mapping[str, LineRules]) -> Iterable[str]:
        """An operator's lines are those of his account and those he is a member of; supervisors and
        administrators have all lines unless the account names some."""
        if account.role == "operator":
            return [n for n, rules in lines.items() if n in account.lines or account.name in rules.members]
        return [n for n in lines if n in account.lines] if account.lines else lines

    def may(self, right: str, line: str, *, holder: str = "", guests: Iterable[str] = ()) -> bool:
        """Whether the right holds in the line. Who holds a session (by transfer, as a guest) may read
        and work in it whatever its line."""
        if right not in self.rights:
            return False
        if line in self.lines:
            return True
        return right in ("read", "work") and self.name in (holder, *guests)

    def by_line(self) -> dict[str, list[str]]:
        """Right -> lines, for ``Welcome``."""
        return {right: sorted(self.lines) for right in sorted(self.rights)}
