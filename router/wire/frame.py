"""What every frame of the wire is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

Number = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""As large as every client and store can count."""
CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Frame(msgspec.Struct, omit_defaults=True, kw_only=True, tag=True, tag_field="t"):
    """Base of all frames."""


class Request(Frame, kw_only=True):
    rid: Number


class CommandFrame(Request, kw_only=True):
    id: CommandId
    """Chosen by the client, unique: the same command twice is done once."""
    again: bool = False
    """It may have been sent before with this ``id``. What cannot be done any more may have been done then:
    the desk is asked before it is refused."""
    right: ClassVar[str]
    """What it needs in the line that it is about; empty: every login may."""

    @property
    def needs(self) -> str:
        """The right that this one needs, where its fields matter too."""
        return self.right


class SessionCommandFrame(CommandFrame, kw_only=True):
    session: str
    of_closed: ClassVar[bool] = False
    """It may be about a closed session too, which the history knows."""
