"""The names of one desk's keys in Redis. They share a hash tag and so a cluster slot."""

from __future__ import annotations


class Keys:
    """Names of one desk's keys."""

    def __init__(self, desk: str) -> None:
        self.root = f"nb:{{{desk}}}:"
        self.log = self.root + "log"
        self.journal = self.root + "journal"
        self.cursor = self.root + "cursor"
        self.commits = self.root + "commits"
        self.written = self.root + "written"
        self.sessions = self.root + "sessions"
        self.operators = self.root + "operators"
        self.desk = self.root + "desk"
        self.health = self.root + "health"
        self.parts = self.root + "parts"
        self.hints = self.root + "hints"
        self.quarantine = self.root + "quarantine"
        self.quarantine_order = self.root + "quarantine:order"
        self.quarantine_facts = self.root + "quarantine:facts"

    def lease(self, of: str) -> str:
        return f"{self.root}lease:{of}"

    def reader(self, name: str) -> str:
        return f"{self.root}reader:{name}"

    def inbox(self, channel: str) -> str:
        return f"{self.root}in:{channel}"

    def last(self, channel: str) -> str:
        return f"{self.root}last:{channel}"

    def out(self, channel: str) -> str:
        return f"{self.root}out:{channel}"

    def sending(self, channel: str) -> str:
        return f"{self.root}sending:{channel}"

    def fetch(self, channel: str) -> str:
        return f"{self.root}fetch:{channel}"
