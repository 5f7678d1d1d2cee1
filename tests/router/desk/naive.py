"""Who gets it, told a second time: plain lists, no order kept, everything looked at each time. Written
from the rules of the queue and from nothing else; slow, short, and easy to check by reading."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Member:
    """An operator as the rules see him."""

    name: str
    online: bool = True
    skills: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    given: int = 0
    max_sessions: int = 1000
    load: dict[str, int] = field(default_factory=dict)
    """Line -> sessions of his that count."""


@dataclass
class Line:
    """A line as the rules see it."""

    name: str
    mode: str
    members: list[str]
    max_sessions: int = 0
    language: str = ""
    opens: bool = True


@dataclass
class Waiting:
    """A session in a backlog."""

    id: int
    line: str
    priority: int = 0
    breach: float = float("inf")
    arrival: int = 0
    needs: frozenset[str] = frozenset()
    language: str = ""
    had: list[str] = field(default_factory=list)
    paused: bool = False


def eligible(line: Line, session: Waiting, members: dict[str, Member]) -> list[str]:
    """On duty, with room, skills and language; in line order."""
    language = session.language if line.language == "customer" else line.language
    found = []
    for name in line.members:
        member = members[name]
        everywhere = sum(member.load.values())
        here = member.load.get(line.name, 0)
        if (
            member.online
            and everywhere < member.max_sessions
            and (not line.max_sessions or here < line.max_sessions)
            and session.needs <= member.skills
            and (not language or language in member.languages)
        ):
            found.append(name)
    return found


def choose(line: Line, session: Waiting, members: dict[str, Member]) -> str:
    """Whom the line's mode would offer it to, or nobody."""
    able = eligible(line, session, members)
    fresh = [name for name in able if name not in session.had]
    if not fresh and not session.paused:
        fresh = able
    if not fresh or line.mode in ("manual", "all") or not line.opens:
        return ""
    if line.mode == "strict":
        return fresh[0]
    order = line.members.index
    if line.mode == "even":
        return min(fresh, key=lambda name: (members[name].given, order(name)))
    return min(fresh, key=lambda n: (sum(members[n].load.values()), members[n].given, order(n)))


def dispatch(
    lines: dict[str, Line], waiting: list[Waiting], members: dict[str, Member]
) -> list[tuple[int, str]]:
    """All offers that are made now, in order: the first of the waiting who can be offered, again and
    again, the backlogs of all lines merged."""
    made: list[tuple[int, str]] = []
    stamp = max((member.given for member in members.values()), default=0)
    left = sorted(waiting, key=lambda s: (-s.priority, s.breach, s.arrival, s.id))
    while True:
        for session in left:
            line = lines[session.line]
            name = choose(line, session, members)
            if name:
                break
        else:
            return made
        left.remove(session)
        stamp += 1
        member = members[name]
        member.given = stamp
        member.load[session.line] = member.load.get(session.line, 0) + 1
        made.append((session.id, name))


def offer_ends(within: int, most: int, keys: list[int]) -> int:
    """When an offer ends into which somebody writes at these times; all in seconds since it began."""
    end = within
    for key in keys:
        if key < end:
            end = max(end, min(key + 10, within + most))
    return end
