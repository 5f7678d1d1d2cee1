"""Uzbek (Latin): what the signs of the screen mean."""

TEXTS = {
    "sign.offer": "sizga taklif qilingan",
    "sign.offer_ends": "sizga taklif qilingan, tez orada boshqaga o‘tadi",
    "sign.soon": "va’da qilingan javob muddati yaqin",
    "sign.late": "mijoz va’da qilingandan ko‘p kutdi",
    "sign.unread": "shuncha xabarni ko‘rmagansiz",
    "sign.pinned": "mahkamlangan: o‘zi ketmaydi",
    "sign.snoozed": "muddatgacha yoki mijoz yozguncha uxlaydi",
    "sign.vip": "VIP",
    "sign.duty": "smenada, tanaffusda, smenada emas",
    "sign.tick_queued": "yuborilmoqda",
    "sign.tick_sent": "kanal qabul qildi",
    "sign.tick_delivered": "mijozga yetdi",
    "sign.tick_read": "mijoz o‘qidi",
    "sign.tick_failed": "yuborilmadi: r – qayta, d – chetga",
    "sign.tick_unknown": "yetgani noma’lum: r qayta so‘rab, yana yuboradi",
    "sign.tick_unsent": "hali stolda emas",
    "sign.down": "hozir ishlamayapti",
    "sign.reconnecting": "aloqa yo‘q; yozganingiz saqlanadi",
    "sign.cursor": "tugmalar shu suhbatga ta’sir qiladi",
    "sign.tag": "teg",
}
