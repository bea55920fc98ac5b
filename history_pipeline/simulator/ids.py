"""The ids of the simulated contact centre.

Knows how an index becomes an id of 16 characters and back, so that no table of ids is kept.
Does not know what a contact or an interaction holds.
"""

from __future__ import annotations

from functools import lru_cache

from history_pipeline.simulator.draws import key_number

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE62 = _BASE36 + "abcdefghijklmnopqrstuvwxyz"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
TWIN_EVERY = 40
"""Every 40th contact has the id of its predecessor with the case of the letters swapped."""


def encoded(number: int, width: int, alphabet: str) -> str:
    """`number` in the alphabet's base, filled to `width`; larger numbers are refused."""
    digits = []
    rest = number
    for _ in range(width):
        rest, digit = divmod(rest, len(alphabet))
        digits.append(alphabet[digit])
    if rest:
        raise ValueError(f"{number} does not fit in {width} characters")
    return "".join(reversed(digits))


@lru_cache(maxsize=8192)
def contact_id(seed: int, index: int) -> str:
    """Such as `0001aQzT00000C7K`: ordinal, four letters of mixed case, the number."""
    twin = index % TWIN_EVERY == TWIN_EVERY - 1
    number = index - 1 if twin else index
    draw = key_number("contact-id", seed, number)
    letters = []
    for _ in range(4):
        draw, letter = divmod(draw, 26)
        draw, upper = divmod(draw, 2)
        letters.append(_LETTERS[letter].upper() if upper else _LETTERS[letter])
    middle = "".join(letters)
    if twin:
        middle = middle.swapcase()
    return f"0001{middle}{encoded(number, 8, _BASE36)}"


def contact_index(seed: int, text: str, contacts: int) -> int | None:
    """The index behind an id, or None if this world has no such contact."""
    if len(text) != 16 or not text.isascii():
        return None
    try:
        number = int(text[8:], 36)
    except ValueError:
        return None
    for index in (number, number + 1):
        if 0 <= index < contacts and contact_id(seed, index) == text:
            return index
    return None


def interaction_id(index: int, ordinal: int) -> str:
    """Such as `0001aB00Lc00001f`: of contact `index`, its interaction `ordinal`.

    Base 62 makes ids that differ only in case, as the real ones do.
    """
    return f"0001aB{_five(index)}{_five(ordinal)}"


@lru_cache(maxsize=8192)
def _five(number: int) -> str:
    return encoded(number, 5, _BASE62)
