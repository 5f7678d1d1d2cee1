"""Which passwords may be chosen. Pure."""

from __future__ import annotations

import re

from crm.errors import Refused

SHORTEST = 8
LONGEST = 1024
"""Characters of a password."""

# The words at the top of every published list of stolen passwords, in the layouts of our operators. What
# only adds digits and signs to one of them is as well known.
_COMMON = frozenset(
    """
    password passwort passw0rd passwd pass parol parolim parolparol парольпароль пароль йцукен йцукенг
    йцукенгш йцукенгшщз фывапролд фываолдж ячсмить привет любовь солнышко наташа максим андрей qwerty
    qwertyu qwertyui qwertyuio qwertyuiop qwert asdfgh asdfghjk asdfghjkl asdfasdf zxcvbn zxcvbnm zxcvzxcv
    qazwsx qazwsxedc qweasd qweasdzxc qweqwe qweqweqwe qweasdqwe azerty azertyuiop abc abcd abcde abcdef
    abcdefg abcdefgh abcdefghi letmein welcome welcomes iloveyou loveyou lovely lovelove princess sunshine
    football baseball basketball superman batman spiderman starwars pokemon dragon monkey shadow master
    michael michelle jennifer jessica jordan charlie ashley daniel thomas robert samantha trustno trustnoone
    whatever computer internet samsung google facebook linkedin liverpool arsenal chelsea barcelona
    realmadrid juventus ferrari mercedes porsche mustang corvette harley yamaha hunter killer soccer hockey
    freedom maverick blahblah access secret secretsecret secrets administrator admin adminadmin root rootroot
    toor guest guestguest user username useruser test testtest testing tester demo demodemo login loginlogin
    changeme change default temp temporary system server support operator supervisor manager office company
    navbat navbatnavbat tashkent toshkent uzbekistan ozbekiston assalom assalomu salom salomsalom salomalik
    bismillah alhamdulillah inshallah moscow moskva russia rossiya butterfly chocolate cookie
    flower flowers purple orange banana strawberry cherry diamond crystal silver golden summer winter spring
    autumn january february september october november december monday friday sunday hello hellohello
    hellothere helloworld goodbye pass word passpass passwordpassword p@ssword p@ssw0rd p4ssword pa55word
    pa$$word passw@rd thepassword mypassword newpassword oldpassword qwaszx zaqwsx zaqxsw qazxsw
    poiuytrewq lkjhgfdsa mnbvcxz asdqwe aaaaaa abcabc xxxxxx nopassword nothing unknown
    q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 qwe123
    qwe123qwe zaq12wsx zaq1xsw2 a1b2c3d4 a1s2d3f4 1a2b3c4d abc123abc 123qweasd 123qweasdzxc 123qwe123 q123q123
    """.split()
)
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def check(password: str, name: str = "") -> None:
    """Raises ``Refused``: ``bad_password`` (with ``least``) for one that is too short or too long,
    ``common_password`` for one that everybody tries first, ``name_as_password``."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused("bad_password", least=str(SHORTEST))
    folded = password.casefold()
    bare = _EDGES.sub("", folded)
    if name and name.casefold() in (folded, bare):
        raise Refused("name_as_password")
    if folded in _COMMON or bare in _COMMON or not bare and _is_run(folded) or len(set(folded)) < 4:
        raise Refused("common_password")


def _is_run(digits: str) -> bool:
    """Digits as they stand on the keyboard, up, down, or a year, date or group that is repeated."""
    numbers = re.sub(r"\D", "", digits)
    up = "01234567890123456789012345678901234567890"
    halves = len(numbers) % 2 == 0 and numbers[: len(numbers) // 2] == numbers[len(numbers) // 2 :]
    return not numbers or numbers in up or numbers in up[::-1] or halves or numbers in _NUMBERS


_NUMBERS = frozenset(
    "147258369 159753159 147852369 987456321 741852963 1234567890 12344321 123454321".split()
)
