"""How the desk hears whose chats they turned out to be."""

from __future__ import annotations

from crm.people.merging import Claim, Tell
from router.desk.events import ChatsClaimed
from router.log.log import Log


def teller(log: Log) -> Tell:
    """Into the log; the same claim twice is applied once."""

    async def tell(claim: Claim) -> None:
        card = claim.card
        await log.append(
            ChatsClaimed(
                event_id=claim.id, customer=claim.customer, was=claim.was, chats=claim.chats,
                name=card.get("name", ""), language=card.get("language", ""),
                responsible=card.get("responsible", ""), vip=bool(card.get("vip")),
                last_operator=card.get("last_operator", ""),
            )
        )  # fmt: skip

    return tell
