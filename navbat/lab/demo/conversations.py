"""What the demo's customers say and what its colleagues answer, in English, Russian and Uzbek."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """The customer writes."""

    text: str


class Photo(NamedTuple):
    """The customer sends a picture."""

    caption: str


class Correct(NamedTuple):
    """The customer changes what he wrote last."""

    text: str


class React(NamedTuple):
    """The customer reacts to the last answer."""

    emoji: str


CustomerAct = Text | Photo | Correct | React


class Turn(NamedTuple):
    """What a customer does before he waits, and the answer he gets; none: he has what he wanted."""

    acts: tuple[CustomerAct, ...]
    answer: str = ""


class Story(NamedTuple):
    """One conversation. ``channel`` is where it is written."""

    language: str
    channel: str
    turns: tuple[Turn, ...]


NAMES: dict[str, tuple[str, ...]] = {
    "en": (
        "Emma Clarke",
        "James Porter",
        "Grace Lin",
        "Daniel Reyes",
        "Sophie Adams",
        "Omar Haddad",
        "Hannah Weiss",
        "Lucas Meyer",
        "Chloe Martin",
        "Victor Osei",
    ),
    "ru": (
        "Ольга Петрова",
        "Иван Смирнов",
        "Марина Ким",
        "Сергей Волков",
        "Анна Белова",
        "Тимур Алиев",
        "Елена Цой",
        "Руслан Каримов",
        "Дарья Нам",
        "Павел Орлов",
    ),
    "uz": (
        "Ali Karimov",
        "Malika Yusupova",
        "Jasur Rahimov",
        "Zilola Umarova",
        "Bobur Ergashev",
        "Nigora Aliyeva",
        "Sardor Tursunov",
        "Dilshod Saidov",
        "Feruza Nazarova",
        "Kamola Ismoilova",
    ),
}

NUDGE: dict[str, str] = {
    "en": "Hello? Is anybody there?",
    "ru": "Ау, есть кто-нибудь?",
    "uz": "Allo, kimdir bormi?",
}
SORRY: dict[str, str] = {
    "en": "Sorry for the wait! Let me look into it right away.",
    "ru": "Извините за ожидание! Сейчас всё проверю.",
    "uz": "Kutganingiz uchun uzr! Hozir tekshirib beraman.",
}
LEAVE: dict[str, str] = {
    "en": "Never mind, I will come by the shop.",
    "ru": "Ладно, я лучше зайду в магазин.",
    "uz": "Mayli, o‘zim do‘konga boraman.",
}

STORIES: tuple[Story, ...] = (
    Story("uz", "shop", (
        Turn((Text("Assalomu alaykum"), Text("bu dazmol narxi qancha?")),
             "Va alaykum assalom! Bug‘li modeli 480 000 so‘m, oddiysi 310 000 so‘m."),
        Turn((Text("bug‘lisini rangi qanaqa? oq bormi"),), "Oq va ko‘k ranglari bor. Oqidan ikkita qoldi."),
        Turn((Text("oqini olaman. Chilonzorga yetkazasizlarmi?"),),
             "Albatta, bugun kechgacha yetkazamiz. Yetkazish bepul."),
        Turn((React("👍"), Text("rahmat katta! 5 baho 🌟"))),
    )),
    Story("ru", "shop", (
        Turn((Text("Здравствуйте! Сколько стоит доставка в Самарканд?"),),
             "Здравствуйте! До 5 кг — 35 000 сум, привезём за два дня."),
        Turn((Text("А если заказать сегодня, в читверг успеет?"), Correct("А если заказать сегодня, в четверг успеет?")),
             "Да, если оплатите до 18:00, в четверг утром будет у вас."),
        Turn((Text("Отлично, оплачиваю"), React("❤️")), "Оплата пришла, номер отправления 4417-22. Хорошего дня!"),
        Turn((Text("спасибо, вы очень быстро отвечаете!"),)),
    )),
    Story("en", "help", (
        Turn((Text("Hi, my order 20418 arrived today"), Photo("the box was open and the lid is cracked")),
             "I am so sorry about that. Would you prefer a new lid or your money back?"),
        Turn((Text("a new lid please, the kettle itself works"),),
             "Done: it leaves tomorrow morning and you need not send anything back."),
        Turn((React("🙏"), Text("perfect, thank you"))),
    )),
    Story("ru", "help", (
        Turn((Text("Третий день жду мастера, никто не едет"), Text("и никто не звонит!!!")),
             "Мне очень жаль. Вижу вашу заявку: мастера перевели на другой адрес и вас не предупредили."),
        Turn((Text("и когда он теперь будет?"),), "Сегодня с 16 до 18. Он позвонит вам за полчаса."),
        Turn((Text("хорошо. надеюсь, в этот раз точно"),), "Я прослежу сам и напишу вам в 16:00."),
        Turn((Text("договорились"), React("👌"))),
    )),
    Story("uz", "help", (
        Turn((Text("Salom, ertaga soat 11 ga qabulga yozilsam bo‘ladimi?"),),
             "Salom! Soat 11 band, 10:30 yoki 12:00 bo‘sh. Qaysi biri qulay?"),
        Turn((Text("12:30"), Correct("12:00")), "Yozib qo‘ydim: ertaga 12:00. Pasportingizni olib keling."),
        Turn((Text("xo‘p, rahmat sizga"),)),
    )),
    Story("en", "shop", (
        Turn((Text("Do you have the AX-200 in stock?"), Text("and is it the 2026 version?")),
             "Hello! Yes, five in stock, all of them the 2026 version."),
        Turn((Text("what is the price with delivery to Bukhara"),), "$129, delivery included, three working days."),
        Turn((Text("hmm, I saw it for $119 elsewhere"),), "We can match that if you send us the link."),
        Turn((Text("deal, I will order on the site now. 5/5 for the service"), React("🔥"))),
    )),
    Story("uz", "shop", (
        Turn((Photo("shunaqasi bormi sizlarda?"),), "Assalomu alaykum! Ha, shu model bor, 1 250 000 so‘m."),
        Turn((Text("bo‘lib to‘lashga ham beriladimi"),), "Beriladi: 3, 6 yoki 12 oyga. 6 oyga ustamasiz."),
        Turn((Text("6 oyga nima hujjat kerak?"),), "Faqat pasport va ish joyingiz haqida ma’lumot."),
        Turn((Text("tushunarli, ertaga boraman"), React("👍"))),
    )),
    Story("ru", "shop", (
        Turn((Photo("есть такой же, но побольше?"),), "Добрый день! Есть на 55 литров, 2 100 000 сум."),
        Turn((Text("а габариты какие? ниша 60 см"),), "Ширина 59,5 см, в нишу 60 встанет."),
        Turn((Text("супер, беру. 5 баллов вам"), React("🎉"))),
    )),
    Story("en", "help", (
        Turn((Text("Can I move my appointment from Tuesday to Friday?"),),
             "Sure. Friday has 9:00 and 15:30, which one do you prefer?"),
        Turn((Text("15:00"), Correct("15:30 please")), "Moved to Friday 15:30. You will get a reminder the day before."),
        Turn((Text("great, see you on Friday"),)),
    )),
    Story("uz", "help", (
        Turn((Text("Buyurtmam qani?? 3 kun bo‘ldi"), Text("raqami 7731")),
             "Uzr so‘raymiz! 7731 hozir Toshkent omborida, bugun kuryerga beriladi."),
        Turn((Text("aniq bugunmi? kecha ham shunday deyishgan edi"),),
             "Ha, kuryer oldi: Sherzod, 15:00 gacha yetkazadi. O‘zi qo‘ng‘iroq qiladi."),
        Turn((React("🙏"), Text("mayli, kutaman"))),
    )),
    Story("ru", "help", (
        Turn((Text("Добрый вечер, можно записаться на субботу?"),), "Добрый вечер! В субботу свободно 10:00 и 13:30."),
        Turn((Text("на 13:30, на двоих если можно"),), "Записал вас двоих на 13:30. Адрес: Амира Темура, 15."),
        Turn((Text("будем, спасибо большое"), React("😊"))),
    )),
    Story("en", "shop", (
        Turn((Text("Is the discount for students still on?"),), "It is, 10 % until the end of the month."),
        Turn((Text("what do I have to show?"),), "A photo of your student card, here in the chat is fine."),
        Turn((Photo("here it is"),), "Thank you! Your code is STUDY10, it works once."),
        Turn((Text("it worked, thanks a lot!"),)),
    )),
)  # fmt: skip


def key(text: str) -> str:
    """By which a text is recognised again, also where it is shown cut."""
    return " ".join(text.split())[:40]


def _answers() -> dict[str, str]:
    found = {key(text): SORRY[language] for language, text in NUDGE.items()}
    found |= {key(text): "" for text in LEAVE.values()}
    for story in STORIES:
        for turn in story.turns:
            for act in turn.acts:
                if not isinstance(act, React):
                    found[key(act[0])] = turn.answer
    return found


ANSWERS = _answers()
"""Every text of a customer by its key -> what a colleague answers; empty: he closes."""
