"""What the shop sells, what people type into its search, and which coupons there are.

Popularity falls off with rank as Zipf's law has it. All names, prices and margins are made up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.demo.draws import Ints, Words, derived, lomax, picked, table, words

CATEGORIES = (
    "女装", "男装", "女鞋", "运动鞋", "箱包", "美妆", "护肤", "零食", "母婴", "家居", "数码", "家电",
)  # fmt: skip
"""Women's and men's wear, women's and sports shoes, bags, make-up, skin care, snacks, baby, home, digital,
appliances."""
_PRICE = (159, 139, 199, 329, 269, 119, 179, 39, 129, 89, 599, 899)
_MARGIN = (52, 48, 50, 38, 45, 60, 62, 28, 35, 42, 14, 12)
"""Median price in yuan; margin in per cent of the price."""
_REFUND = (9200, 5200, 7900, 5900, 3300, 1600, 2000, 600, 2300, 2600, 2900, 2600)
"""In 65536ths of paid orders, by the category of the first line."""
_NOUNS = (
    ("连衣裙", "衬衫", "半身裙", "针织衫", "风衣"),
    ("T恤", "牛仔裤", "夹克", "Polo 衫"),
    ("乐福鞋", "玛丽珍鞋", "凉鞋", "短靴"),
    ("跑鞋", "篮球鞋", "板鞋"),
    ("托特包", "双肩包", "腋下包", "行李箱"),
    ("口红", "眼影", "粉底液", "睫毛膏"),
    ("精华", "面霜", "防晒霜", "面膜"),
    ("坚果", "饼干", "肉脯", "巧克力"),
    ("奶瓶", "纸尿裤", "婴儿车", "绘本"),
    ("四件套", "收纳箱", "台灯", "沙发"),
    ("耳机", "键盘", "平板", "充电宝"),
    ("吹风机", "空气炸锅", "扫地机器人", "加湿器"),
)
_STYLES = ("经典", "轻盈", "复古", "简约", "春日", "通勤", "周末", "旅行", "城市", "暖阳")

PER_CATEGORY = 100
PRODUCTS = PER_CATEGORY * len(CATEGORIES)
COUPONS = ["SPRING20", "NEW10"]
"""¥20 off from ¥99 (else ¥5), and 10 % off; a topic may declare more (``rows.declare``)."""
SOURCES = ("typed", "hot", "history", "suggestion")
SOURCE = table((55, 18, 12, 15))
"""How a search was made; only the most searched terms are hot words (``topics.search``)."""


@dataclass(frozen=True, slots=True)
class Term:
    """A text people search: its category, and how many products it finds (0: none; None: not logged)."""

    text: str
    category: int
    results: int | None
    weight: int


MISSING_BRAND = ("Coach", "coach", "蔻驰", "COACH")
TERMS = (
    *(
        Term(noun, c, 12 + 7 * ((c * 5 + n) % 9), 600 // (1 + (c * 5 + n * 3) % 17))
        for c, nouns in enumerate(_NOUNS)
        for n, noun in enumerate(nouns)
    ),
    Term("skirt", 0, 18, 20),
    Term("running shoes", 3, 24, 24),
    Term("Couch", 9, 6, 12),
    Term("礼物", 5, 160, 160),
    Term("Gucci", 4, None, 14),
    Term("单反相机", 10, 4, 3),
    Term("隐形眼镜", 6, 0, 40),
    Term("连依裙", 0, 0, 40),
    *(Term(text, 11, results, 0) for text, results in (("空", 96), ("空气", 38), ("空气炸", 13))),
    *(Term(text, 3, results, 0) for text, results in (("run", 61), ("running", 33))),
    *(Term(text, 4, 0, 0) for text in MISSING_BRAND),
)
"""The brand's four spellings have no weight of their own: only those who want it type them. Nor have the
beginnings of terms, which are what a search logs while somebody types."""
TERM_CODE = {term.text: code for code, term in enumerate(TERMS)}
TERM = table([term.weight for term in TERMS])
TERM_CATEGORY = np.array([term.category for term in TERMS], dtype=np.int64)
TERM_RESULTS = np.array([-1 if term.results is None else term.results for term in TERMS], dtype=np.int64)
FIRST_BRAND = len(TERMS) - len(MISSING_BRAND)
BRAND = table((30, 25, 35, 10))


def zipf(count: int) -> Ints:
    """Weights that fall as 1/(rank + 2): Zipf's law with Mandelbrot's shift."""
    return 10**9 // (np.arange(count, dtype=np.int64) + 3)


POPULAR = table(np.repeat(zipf(PER_CATEGORY), len(CATEGORIES)))
"""Product by overall popularity; product ``rank · categories + category``."""
_IN_CATEGORY = table(zipf(PER_CATEGORY))


def in_category(category: Ints, word: Words, shift: int) -> Ints:
    """A product of each category, by popularity inside it."""
    return picked(_IN_CATEGORY, word, shift) * len(CATEGORIES) + category


def category_of(product: Ints) -> Ints:
    """The category of each product."""
    return product % len(CATEGORIES)


def product_name(product: int) -> str:
    """``春日连衣裙 07``: style, noun, number."""
    rank, category = divmod(product, len(CATEGORIES))
    nouns = _NOUNS[category]
    return f"{_STYLES[rank % 10]}{nouns[rank // 10 % len(nouns)]} {rank // 10 + 1:02d}"


def _prices() -> Ints:
    word = words(20260301, 1, PRODUCTS)
    spread = lomax(60, 9000, 45, 400)[(word & 0xFFFF).astype(np.int64)]
    median = np.array(_PRICE, dtype=np.int64)[category_of(np.arange(PRODUCTS, dtype=np.int64))]
    return np.asarray(np.maximum(median * spread // 100, 5) * 100 - 10, dtype=np.int64)


PRICE = _prices()
"""In fen, ending in .90; the same for every seed, as the catalogue is part of the demo, not of its chance."""


def _costs() -> Ints:
    product = np.arange(PRODUCTS, dtype=np.int64)
    margin = np.array(_MARGIN, dtype=np.int64)[category_of(product)]
    jitter = (derived(words(20260301, 2, PRODUCTS), 0) % 9).astype(np.int64) - 4
    return PRICE * (100 - margin - jitter) // 100


COST = _costs()
"""What a piece costs the shop, in fen."""
REFUND_CELLS = np.array(_REFUND, dtype=np.int64)
