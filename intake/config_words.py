"""What is wrong with config.toml, in sentences: where, what, and what to write instead.

No value is ever repeated that might be a secret: of what pydantic says only the kind of error is used, and of
values only what our own validators, which know what they read, chose to quote.
"""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

MAX_PROBLEMS = 100  # shown; after that nobody reads on
MAX_OFFERED = 16  # names listed
EMPTY = "this is empty"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    path: str  # "channels.support.imap.port"; of a syntax error "line 3, column 5"
    message: str
    mend: str = ""  # what to do about it

    def __str__(self) -> str:
        said = f"{self.path}: {self.message}" if self.path else self.message
        return f"{said}\n    -> {self.mend}" if self.mend else said


class ConfigError(Exception):
    """The configuration cannot be used; everything that is wrong with it, at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems[:MAX_PROBLEMS]))


def closest(word: str, offered: Iterable[str]) -> str:
    """`did you mean "x"?`, or what there is, or "" where there is nothing."""
    names = sorted(set(offered))
    near = get_close_matches(word.lower(), names, n=1) or get_close_matches(word, names, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    if not names or len(names) > MAX_OFFERED:
        return "docs/configuration.md says which there are" if names else ""
    return f"there is: {', '.join(names)}"


def syntax(error: tomllib.TOMLDecodeError) -> Problem:
    """The place and the reason of a TOML syntax error."""
    said = str(error)
    place = re.search(r"\s*\(at (line \d+, column \d+|end of document)\)$", said)
    path = place[1] if place else ""
    reason = said[: place.start()] if place else said
    return Problem(path, f"this is no TOML: {reason}", "texts stand in double quotes, names of tables in [brackets]")


def of_model(error: ValidationError, model: type[BaseModel], path: str) -> list[Problem]:
    """A pydantic refusal of one table as problems, sorted by path."""
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        keys, inner = _place(model, detail["loc"])
        where = ".".join([path, *keys]) if path else ".".join(keys)
        message, mend = _sentence(detail["type"], detail.get("ctx", {}), detail["msg"], keys, inner)
        found.append(Problem(where, message, mend))
    # A list is called too short as well when what stands in it is refused.
    inside = {problem.path.partition("[")[0] for problem in found if "[" in problem.path}
    kept = {problem for problem in found if problem.message != EMPTY or problem.path not in inside}
    return sorted(kept, key=lambda problem: (problem.path, problem.message))


def _sentence(
    kind: str, context: dict[str, Any], said: str, keys: list[str], inner: type[BaseModel] | None
) -> tuple[str, str]:
    """Message and mend of one pydantic error."""
    name = keys[-1] if keys else ""
    if kind == "extra_forbidden":
        return f'unknown key "{name}"', closest(name, inner.model_fields if inner else ())
    if kind == "missing":
        return f'"{name}" is missing', "add it"
    if kind == "value_error":
        return _in_two(str(context["error"]))
    if kind in ("literal_error", "enum"):
        return "this value is not known", f"one of {context['expected']}"
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain[0], plain[1].format(**context)
    return said[:1].lower() + said[1:], ""


def _in_two(said: str) -> tuple[str, str]:
    """What our validators say, taken apart: what is wrong, what to write."""
    message, colon, mend = said.partition(": ")
    if said.startswith(_ORDERS):
        return "this cannot be used", said
    return (message, mend) if colon and mend.startswith(_ORDERS) else (said, "")


_ORDERS = ("write ", "give ", "take ")
_PLAIN = {
    "string_type": ("this must be a text", "write it in double quotes"),
    "int_type": ("this must be a whole number", "write it without quotes"),
    "int_parsing": ("this must be a whole number", "write it without quotes"),
    "int_from_float": ("this must be a whole number", "write it without a fraction"),
    "float_type": ("this must be a number", "write it without quotes"),
    "float_parsing": ("this must be a number", "write it without quotes"),
    "bool_type": ("this must be true or false", "write it without quotes"),
    "bool_parsing": ("this must be true or false", "write it without quotes"),
    "tuple_type": ("this must be a list", 'write ["…", "…"]'),
    "dict_type": ("this must be a table", "write {{ key = … }} or a [table]"),
    "model_type": ("this must be a table", "write {{ key = … }} or a [table]"),
    "model_attributes_type": ("this must be a table", "write {{ key = … }} or a [table]"),
    "path_type": ("this must be a path", "write it in double quotes"),
    "time_delta_type": ("this must be a duration", 'write for example "45s", "3min", "24h" or "2d"'),
    "greater_than": ("this is too small", "more than {gt}"),
    "greater_than_equal": ("this is too small", "at least {ge}"),
    "less_than": ("this is too large", "less than {lt}"),
    "less_than_equal": ("this is too large", "at most {le}"),
    "too_short": (EMPTY, "give at least {min_length}"),
    "string_too_short": (EMPTY, "write something"),
    "string_pattern_mismatch": ("this is not written as it should be", "it must match {pattern}"),
}


def _place(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """The keys a person wrote, and the innermost table's model; pydantic adds the branches of unions."""
    keys: list[str] = []
    inner: type[BaseModel] | None = model
    at: Any = model
    for part in loc:
        at = _plain(at)
        if isinstance(part, int):
            keys[-1:] = [f"{keys[-1]}[{part}]"] if keys else [f"[{part}]"]
            at = _member(at)
        elif isinstance(at, type) and issubclass(at, BaseModel):
            inner = at
            keys.append(part)
            field = at.model_fields.get(part)
            at = field.annotation if field else None
        elif typing.get_origin(at) is dict:
            keys.append(part)
            at = typing.get_args(at)[1]
        # Anything else is the name of a union's branch, which nobody wrote.
    return keys, inner


def _plain(annotation: Any) -> Any:
    """Without Annotated and without `| None`."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            rest = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


def _member(annotation: Any) -> Any:
    """What a `tuple[X, …]` is made of."""
    inner = typing.get_args(annotation)
    return inner[0] if inner else None
