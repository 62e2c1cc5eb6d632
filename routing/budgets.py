"""Budgets: how long something may take, as a firm writes it (POLICY: Clocks)."""

from __future__ import annotations

from datetime import timedelta

from routing.policy import Budget, BudgetUnit

MAX_BUDGET_DAYS = 400  # days; a longer budget is a typing error

_ZERO = timedelta()


class BadBudget(ValueError):  # reads as what it is: raise BadBudget
    """A budget nobody can count. `mend` says what to write instead."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


_EXAMPLES = (
    'write for example "45s", "3min", "24h", "8wh" (working hours), "3wd" (working days), "15d" (calendar '
    'days) or "3min in hours"'
)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "wh": 3600}
_UNITS = ("wh", "wd", "min", "s", "h", "d")  # longer ones first: "8wh" ends in "h" too
_IN_HOURS = (" in hours", " inside hours")
_SLIPS = {
    "m": "min",
    "mins": "min",
    "minutes": "min",
    "sec": "s",
    "hr": "h",
    "hrs": "h",
    "hours": "h",
    "days": "d",
    "day": "d",
    "w": "wd",
}


def parse_budget(text: str) -> Budget:
    """`"45s" "3min" "24h"` by the wall clock, `"8wh"`, `"3wd"`, `"15d"`; `"3min in hours"` while open only.

    Raises `BadBudget`.
    """
    body = text.strip()
    stem = next((body.removesuffix(end) for end in _IN_HOURS if body.endswith(end)), body)
    unit = next((u for u in _UNITS if stem.endswith(u)), "")
    number = stem.removesuffix(unit) if unit else ""
    if not _is_number(number):
        raise BadBudget(f'"{text[:40]}" is no budget', _mend(stem))
    amount = float(number)
    if unit in ("wd", "d"):
        return _days(text, unit, amount, is_in_hours=stem != body)
    length = timedelta(seconds=amount * _SECONDS[unit])
    if length <= _ZERO or length > timedelta(days=MAX_BUDGET_DAYS):
        raise BadBudget(f'"{text}" is out of range', f"give more than 0 and at most {MAX_BUDGET_DAYS} days")
    is_working = unit == "wh" or stem != body
    return Budget(BudgetUnit.WORKING_HOURS if is_working else BudgetUnit.WALL, length, written=body)


def _is_number(text: str) -> bool:
    """Plain decimal digits: "3", "1.5"; short, so that no float overflows."""
    return len(text) <= 9 and text.isascii() and text.replace(".", "", 1).isdigit()


def _days(text: str, unit: str, amount: float, *, is_in_hours: bool) -> Budget:
    if is_in_hours:
        raise BadBudget(f'"{text}" mixes days and hours', 'write "3wd" for working days')
    if amount != int(amount) or not 1 <= amount <= MAX_BUDGET_DAYS:
        raise BadBudget(f'"{text}" is no whole number of days', f"give 1 to {MAX_BUDGET_DAYS}, for example 3{unit}")
    kind = BudgetUnit.WORKING_DAYS if unit == "wd" else BudgetUnit.CALENDAR_DAYS
    return Budget(kind, _ZERO, int(amount), text.strip())


def _mend(stem: str) -> str:
    digits = "".join(c for c in stem if c.isdigit() or c == ".")
    unit = stem.removeprefix(digits).strip().lower()
    meant = _SLIPS.get(unit, unit if unit in _UNITS else "")
    if meant and _is_number(digits) and stem.startswith(digits):
        return f'did you mean "{digits}{meant}"? (min is minutes, wh working hours, wd working days)'
    return _EXAMPLES
