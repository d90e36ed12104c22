"""Exact conversion between the few UCUM units of tumour sizes, doses and drug amounts."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

# Unit -> (quantity, factor to the first unit of that quantity). Spelled-out names are common
# in sources that give `unit` without `code`.
_UNITS: dict[str, tuple[str, Decimal]] = {
    "mm": ("length", Decimal(1)),
    "cm": ("length", Decimal(10)),
    "m": ("length", Decimal(1000)),
    "um": ("length", Decimal("0.001")),
    "millimeter": ("length", Decimal(1)),
    "millimeters": ("length", Decimal(1)),
    "centimeter": ("length", Decimal(10)),
    "centimeters": ("length", Decimal(10)),
    "Gy": ("dose", Decimal(1)),
    "cGy": ("dose", Decimal("0.01")),
    "mGy": ("dose", Decimal("0.001")),
    "mg": ("mass", Decimal(1)),
    "g": ("mass", Decimal(1000)),
    "ug": ("mass", Decimal("0.001")),
    "mm3": ("volume", Decimal(1)),
    "cm3": ("volume", Decimal(1000)),
    "mL": ("volume", Decimal(1000)),
    "ml": ("volume", Decimal(1000)),
}


def convert(number: str, unit: str, to: str) -> str | None:
    """A decimal text in another unit, exactly and without trailing zeros; None if impossible.

    >>> convert("3.20", "cm", "mm")
    '32'
    """
    source, target = _UNITS.get(unit.strip()), _UNITS.get(to)
    if source is None or target is None or source[0] != target[0]:
        return None
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    return plain(value * source[1] / target[1])


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-", "-0"} else text
