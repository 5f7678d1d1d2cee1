"""What a channel cannot do degrades visibly, never silently. Pure."""

from __future__ import annotations

import msgspec

from bots.base import Can, Rejected
from crm.kernel.text import is_visible
from router.desk.state import Delivery

CORRECTED = "✎ "
"""Marks a new message that stands for an edit."""


def degrade(delivery: Delivery, can: Can) -> Delivery:
    """The delivery as the channel can carry it out. Raises ``Rejected`` when nothing visible is
    left to do."""
    if delivery.action == "delete" and Can.DELETE not in can:
        raise Rejected("this channel cannot take messages back")
    if delivery.action == "edit" and Can.EDIT not in can:
        delivery = msgspec.structs.replace(
            delivery, action="send", text=CORRECTED + delivery.text, external_id="", media=[]
        )
    if delivery.media and not can & (Can.FILE | Can.PHOTO):
        raise Rejected("this channel cannot carry files")
    if delivery.buttons and Can.BUTTONS not in can:
        lines = [
            f"• {button.text}" + (f": {button.url}" if button.url else "") for button in delivery.buttons
        ]
        text = "\n".join([delivery.text, *lines]) if delivery.text else "\n".join(lines)
        delivery = msgspec.structs.replace(delivery, text=text, buttons=[])
    if delivery.action != "delete" and not delivery.media and not is_visible(delivery.text):
        raise Rejected("nothing of this text can be seen")
    return delivery
