"""English: what the signs of the screen mean."""

TEXTS = {
    "sign.offer": "offered to you",
    "sign.offer_ends": "offered to you, and about to go to somebody else",
    "sign.soon": "the promised answer is nearly due",
    "sign.late": "the customer has waited longer than promised",
    "sign.unread": "so many messages that you have not seen",
    "sign.pinned": "pinned: does not leave by itself",
    "sign.snoozed": "asleep until a time, or until the customer writes",
    "sign.vip": "VIP",
    "sign.duty": "on duty, on a break, off duty",
    "sign.tick_queued": "on its way out",
    "sign.tick_sent": "the channel has it",
    "sign.tick_delivered": "it is on the customer’s phone",
    "sign.tick_read": "the customer has read it",
    "sign.tick_failed": "it was not sent: r sends it again, d puts it aside",
    "sign.tick_unknown": "nobody knows whether it arrived: r asks twice before it sends again",
    "sign.tick_unsent": "not yet with the desk",
    "sign.down": "this does not work now",
    "sign.reconnecting": "no connection; what you write is kept",
    "sign.cursor": "keys act on this one",
    "sign.tag": "a tag",
}
