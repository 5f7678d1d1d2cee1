"""How the desk says it does, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass

from console.text.words import Words
from router.wire import protocol as wire


@dataclass(frozen=True)
class Condition:
    """The desk's ``lag`` in ms, who is ``down``, the codes of what is known of their ``troubles``, and
    how much waits where."""

    lag: int = 0
    down: tuple[str, ...] = ()
    troubles: tuple[tuple[str, str], ...] = ()
    waits: tuple[tuple[str, int], ...] = ()

    @classmethod
    def told(cls, pong: wire.Pong) -> Condition:
        return cls(pong.lag, tuple(pong.down), tuple(pong.troubles.items()), tuple(pong.waits.items()))

    def trouble(self, words: Words) -> str:
        """What does not work, in words where there are some; "" when everything does."""
        known = dict(self.troubles)
        return ", ".join(words.maybe(f"trouble.{known.get(name, '-')}", name) for name in self.down)

    def waiting(self, words: Words) -> list[str]:
        """How much waits because of it, one sentence for each place."""
        found = ((words.maybe(f"bar.waits.{kind}", ""), n) for kind, n in self.waits)
        return [text.format(n=n) for text, n in found if text]

    def told_in_full(self, words: Words, latency: float, unsent: int) -> list[str]:
        """The connection, of ``latency`` ms (less than 0: there is none), and everything that is not well."""
        told = [words("state.online", ms=round(latency)) if latency >= 0 else words("state.offline")]
        if unsent:
            told.append(words("state.unsent", n=unsent))
        if self.lag > 0:
            told.append(words("state.behind", span=words.span(self.lag)))
        if self.down:
            told += [words("state.down", names=self.trouble(words)), *self.waiting(words)]
        return told if self.down else [*told, words("state.well")]
