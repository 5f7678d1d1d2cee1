"""Russian: what the signs of the screen mean."""

TEXTS = {
    "sign.offer": "предложено вам",
    "sign.offer_ends": "предложено вам и скоро уйдёт другому",
    "sign.soon": "обещанный ответ вот-вот просрочен",
    "sign.late": "клиент ждёт дольше обещанного",
    "sign.unread": "столько сообщений вы не видели",
    "sign.pinned": "закреплён: сам не уйдёт",
    "sign.snoozed": "спит до срока или пока клиент не напишет",
    "sign.vip": "VIP",
    "sign.duty": "на смене, на перерыве, не на смене",
    "sign.tick_queued": "отправляется",
    "sign.tick_sent": "канал принял",
    "sign.tick_delivered": "доставлено клиенту",
    "sign.tick_read": "клиент прочитал",
    "sign.tick_failed": "не отправлено: r – ещё раз, d – отложить",
    "sign.tick_unknown": "неизвестно, дошло ли: r переспросит и отправит снова",
    "sign.tick_unsent": "ещё не у стола",
    "sign.down": "сейчас не работает",
    "sign.reconnecting": "нет связи; написанное сохраняется",
    "sign.cursor": "клавиши действуют на этот разговор",
    "sign.tag": "метка",
}
