"""Who may do what, in which line. Deny by default; the gateway asks here for every command and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from crm.kernel.records import Account, Right
from router.desk.rules import LineRules

RIGHTS: dict[str, frozenset[str]] = {
    "operator": frozenset({"read", "work"}),
    "bot": frozenset({"read", "work"}),
    "supervisor": frozenset({"read", "work", "lead", "audit"}),
    "admin": frozenset({"read", "work", "lead", "audit", "administer"}),
}
"""``read`` a line's sessions, ``work`` in it, ``lead`` it (act on what others hold), see its
``audit``, ``administer`` the desk."""

SEPARATE: frozenset[str] = frozenset(get_args(Right)) - {"read_only"}
"""Rights that an account can have in single lines; supervisors and administrators have them all unless
the account says otherwise."""


class Access:
    """What one login may do now."""

    def __init__(self, account: Account, lines: Mapping[str, LineRules]) -> None:
        self.name = account.name
        self.role = account.role
        self.rights = RIGHTS[account.role] if not account.disabled else frozenset()
        self.everywhere = account.role in ("supervisor", "admin") and not account.lines
        """All lines, also those that are made later."""
        self.lines = frozenset(self._lines(account, lines))
        self._separate = account.rights
        self.crm = account.crm
        """What is said of its rights among the objects of the CRM."""
        self.unlimited = self.everywhere and account.rights is None and not account.crm
        """Has all that its role can have."""
        self.sees_silent = frozenset(line for line in self.lines if self.may("join_silent", line))
        """Lines in which it is told who reads along silently."""

    @staticmethod
    def _lines(account: Account, lines: Mapping[str, LineRules]) -> Iterable[str]:
        """An operator's lines are those of his account and those he is a member of, a bot's also those
        that name it as theirs; supervisors and administrators have all lines unless the account names
        some."""
        if account.role in ("operator", "bot"):
            return [
                name
                for name, rules in lines.items()
                if name in account.lines
                or account.name in rules.members
                or (account.role == "bot" and rules.bot == account.name)
            ]
        return [n for n in lines if n in account.lines] if account.lines else lines

    def may(self, right: str, line: str, *, holder: str = "", guests: Iterable[str] = ()) -> bool:
        """Whether the right holds in the line. Who holds a session (by transfer, as a guest) may read
        and work in it whatever its line."""
        if right in SEPARATE:
            return bool(self.rights) and line in self.lines and self._has(right, line)
        if right not in self.rights or (right == "work" and self._has("read_only", line)):
            return False
        if line in self.lines:
            return True
        return right in ("read", "work") and self.name in (holder, *guests)

    def _has(self, right: str, line: str) -> bool:
        if self._separate is None:
            return right != "read_only" and "lead" in self.rights
        return right in self._separate.get("*", ()) or right in self._separate.get(line, ())

    def by_line(self) -> dict[str, list[str]]:
        """Right -> lines, for ``Welcome``."""
        found = {
            right: sorted(line for line in self.lines if self.may(right, line))
            for right in sorted(self.rights | SEPARATE)
        }
        return {right: lines for right, lines in found.items() if lines or right in self.rights}
