"""The words of the simulated contact centre.

Knows texts and their awkward relatives: other scripts, quotes, empty ones. Knows no structure.
"""

from __future__ import annotations

from typing import Any

ATTRIBUTE_NAMES = (
    "SearchId",
    "CustomerId",
    "OrderNo",
    "orderno",
    "ORDERNO",
    "a.b",
    "with, comma",
    'in "quotes"',
    "it's",
    "Straße",
    "客户等级",
    "عميل",
    "📦 parcel",
)

MEDIA_TYPES = (
    ("Chat", 22),
    ("chat", 14),
    ("email", 18),
    ("Email", 6),
    ("Call", 8),
    ("call", 12),
    ("smssession", 5),
    ("facebook", 2),
    ("facebooksession", 3),
    ("openmedia", 3),
    ("twitter", 2),
    ("WorkItem", 2),
    ("workitem", 3),
)

TYPE_IDS = ("Inbound", "Inbound", "Inbound", "Outbound", "Internal", "Consult", "Unknown")

SUBJECTS = (
    "Customer support",
    "Delivery",
    "Invoice",
    "qq",
    "Rückfrage zur Lieferung – dringend!",  # noqa: RUF001
    "Вопрос о счёте",  # noqa: RUF001
    "请确认订单",
    "מספר הזמנה",
    "👩🏽‍💻 can't log in 🔑",
    'He said: "never again", twice',
    "line one\nline two\ttabbed",
    "semi;colon,comma|pipe\\backslash",
    "e\u0301 combining, \u00e9 composed",
    "<b>markup</b> & entities &amp;",
    "null",
    " leading and trailing ",
    "\u2028separator\u2029",
)

ATTRIBUTE_TEXTS = (
    "",
    "123456",
    "a21d4c3",
    "A-17",
    "0017",
    "true",
    "null",
    "premium",
    "Größe XL",
    "数量 3",
    'with "quotes", commas',
    "{}",
)

ODD_VALUES: tuple[Any, ...] = (
    17,
    -0.5,
    12345678901234567,
    True,
    False,
    None,
    {"nested": {"a": 1}, "list": [1, "two", None]},
    ["a", "b"],
    {},
)

COMMENTS = ("called back", "Kunde wünscht Rückruf", "", "済み", "see parent; closed")

SYLLABLES = ("ba", "do", "ka", "li", "mo", "né", "ra", "shi", "tü", "vo", "zy", "ło")
