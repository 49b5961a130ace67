"""Random changes of data and text: small ones, wild ones, and hostile values."""

from __future__ import annotations

import math
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**30, 2**63, -(2**64), 10**400),
    *(0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf),
    *("", " ", "a", "0", "-", "0-7", "7-0", "0-65535", "0,0", "0-65535,0-65535"),
    *("\x1b[31m", "\x9b", "\u202e", "\ud800", "[red]", "é" * 300, "1e5", "nan"),
    *("80 GB", "200 Gb/s", "-1 GB", "1e999 GB", "1 parsec", "9" * 500 + " GB"),
    *([], {}, [[]], [None], [0, 1], {"a": {}}, {"kind": "zipf"}, {"value": 1}),
)
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 64, 128, 1000, 65_535, 65_536, 10**9, 10**14, 10**18)


def mutate(data: Any, rng: Random, words: Mapping[str, Sequence[Any]]) -> None:
    """Change one to three places in JSON-like data.

    Parameters
    ----------
    words : mapping of str to sequence
        Texts that mean something behind a key; behind any key if it is empty.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(data))
        if places:
            _change(*rng.choice(places), rng, words)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, inner in items:
        yield data, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)


def _change(
    holder: Any, key: Any, rng: Random, words: Mapping[str, Sequence[Any]]
) -> None:
    action = rng.random()
    if action < 0.75:
        known = words.get(key) or words[""]
        holder[key] = _near(holder[key], rng, known)
    elif action < 0.85:
        holder[key] = deepcopy(rng.choice(HOSTILE))
    elif action < 0.9:
        del holder[key]
    elif isinstance(holder, list):
        if action < 0.95:
            holder.insert(key, deepcopy(rng.choice(holder)))
        else:
            rng.shuffle(holder)
    elif action < 0.95:
        holder[rng.choice(list(words))] = holder.pop(key)
    else:
        holder[rng.choice(list(words))] = deepcopy(rng.choice(HOSTILE))


def _near(value: Any, rng: Random, words: Sequence[Any]) -> Any:
    """Return a value that could stand in the same place."""
    if isinstance(value, str):
        return rng.choice(words)
    if isinstance(value, bool) or value is None:
        return rng.choice((True, False, None))
    if isinstance(value, int):
        near = (value + 1, value - 1, value * 2, value // 2, value + 8, 0)
        return rng.choice((*near, rng.choice(NUMBERS)))
    if isinstance(value, float):
        near = (value * 2, value / 2, value * (1 + 1e-12), value * 0.99, 0.0, 1.0)
        return rng.choice(near)
    if isinstance(value, list):
        return rng.sample(value, rng.randint(0, len(value)))
    return {key: value[key] for key in value if rng.random() < 0.8}


_TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|\S')
_NUMBER = re.compile(r"[\d_.e+-]*\d[\d_.e+-]*")
TOKENS = (
    *("0", "-1", "1.5", "1e400", "nan", "-inf", "1e308", "5e-324", "1e18", "65536"),
    *("9" * 400, "0x" + "f" * 400, "1979-05-27T07:32:00Z", "07:32:00", "true"),
    *('""', '"\\u001b[31m"', '"\\u202e"', '"\\u009b"', '"80 GB"', '"200 Gb/s"'),
    *('"1e999 TB"', '"-3 GB"', '"3 parsec"', '"0-65535"', "[]", "{}", "[[]]"),
    *("[" * 70 + "]" * 70, "[" * 70, "{a = " * 70, "'''", '"""', "=", ",", "|"),
    *("a." * 100 + "a", "#", "[[tables]]", "[access]", "\x00", "\x1b", "\u2028"),
)


def mutate_text(text: str, rng: Random) -> str:
    """Change one to four tokens, lines or characters of a text."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change = rng.choice((_token, _token, _token, _token, _line, _character))
        text = change(text, rng)
    return text


def _token(text: str, rng: Random) -> str:
    """Put another token, of this text or a hostile one, in the place of one."""
    found = list(_TOKEN.finditer(text))
    if not found:
        return text
    old, action = rng.choice(found), rng.random()
    if action < 0.3:
        numbers = [token for token in found if _NUMBER.fullmatch(token[0])]
        old = rng.choice(numbers or found)
        other = str(rng.choice((*NUMBERS, 0.5, 1.0, 1e-6, 1e9, 1e12, old[0] + "0")))
    elif action < 0.6:
        other = rng.choice(found)[0]
    else:
        other = rng.choice(TOKENS)
    return text[: old.start()] + other + text[old.end() :]


def _line(text: str, rng: Random) -> str:
    """Drop, repeat, move or cut a line."""
    lines = text.split("\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    action = rng.randrange(4)
    if action == 0:
        lines.pop(at)
    elif action == 1:
        lines.insert(to, lines[at])
    elif action == 2:
        lines.insert(to, lines.pop(at))
    else:
        lines[at] = lines[at][: rng.randint(0, len(lines[at]))]
    return "\n".join(lines)


def _character(text: str, rng: Random) -> str:
    at = rng.randint(0, len(text))
    new = rng.choice(('"', "'", "\\", "\n", ".", "[", "]", "}", "\x85", "\ufeff", "9"))
    return text[:at] + new + text[at + rng.randint(0, 1) :]


def mutate_bytes(content: bytes, rng: Random) -> bytes:
    """Overwrite, cut or repeat some bytes."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 32))):
        at = rng.randrange(len(damaged)) if damaged else 0
        action = rng.random()
        if action < 0.8:
            damaged[at : at + 1] = rng.randbytes(1)
        elif action < 0.9:
            del damaged[at : at + rng.randint(1, 64)]
        else:
            damaged[at:at] = damaged[at : at + rng.randint(1, 64)]
    return bytes(damaged)
