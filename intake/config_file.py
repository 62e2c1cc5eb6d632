"""The file config.toml, table by table: TOML to frozen models.

What is wrong with one table does not hide what is wrong with the next: problems are collected, and reading goes on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from channels.settings import ChannelSettings
from intake.config_tables import ChannelKeys, Desk, Http, Limits, Log, Store, Tokens
from intake.config_words import ConfigError, Problem, closest, of_model, syntax

MAX_FILE = 1024 * 1024  # octets

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
SINGLE: dict[str, type[BaseModel]] = {
    "desk": Desk,
    "store": Store,
    "http": Http,
    "log": Log,
    "tokens": Tokens,
    "limits": Limits,
}
_CHANNEL_MODELS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(ChannelSettings)[0])
}

M = TypeVar("M", bound=BaseModel)


def parsed(path: Path) -> dict[str, Any]:
    """The file as TOML tables. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except OSError as error:
        mend = "say which with --config, or copy the example from docs/" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError([Problem(str(path), f"cannot read it: {error.strerror}", mend)]) from error
    if len(octets) > MAX_FILE:
        raise ConfigError([Problem(str(path), "this is larger than 1 MiB", "a configuration is a few pages")])
    try:
        # Editors on Windows put a mark in front that TOML does not know.
        return tomllib.loads(octets.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(f"line {line}", "this is no UTF-8", "save the file as UTF-8")]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([syntax(error)]) from error


@dataclass(frozen=True)
class Reading:
    """One file being read; what is wrong goes into `problems`, and reading goes on."""

    raw: Mapping[str, Any]
    base: Path  # relative paths count from here
    problems: list[Problem]

    def table(self, name: str) -> Mapping[str, Any]:
        """A top-level table; empty where there is none."""
        value = self.raw.get(name, {})
        return value if isinstance(value, dict) else {}

    def single(self, name: str, model: type[BaseModel]) -> Any:
        """[NAME], or what stands in for it so that the rest can be checked too."""
        if name == "desk" and name not in self.raw:
            self.problems.append(Problem("desk", "this table is missing", 'write [desk] and firm = "…"'))
            return Desk.model_construct(firm="")
        return self._model(model, self.raw.get(name, {}), name) or model.model_construct()

    def named(self, table: str, model: type[M]) -> dict[str, M]:
        """[TABLE.NAME] for each name."""
        found = {}
        for name, value in self._entries(table):
            read = self._model(model, value, f"{table}.{name}")
            if read is not None:
                found[name] = read
        return found

    def channels(self) -> dict[str, tuple[ChannelKeys, Any]]:
        """Each channel's keys of the desk, and its settings."""
        found = {}
        for name, value in self._entries("channels"):
            path = f"channels.{name}"
            if not isinstance(value, dict):
                self.problems.append(Problem(path, "this must be a table", f"write [{path}]"))
                continue
            model = _CHANNEL_MODELS.get(str(value.get("type")))
            if model is None:
                said = "is missing" if "type" not in value else "is not known"
                self.problems.append(Problem(f"{path}.type", f"the type {said}", _types(value.get("type"))))
                continue
            desks = {key: value[key] for key in ChannelKeys.model_fields if key in value}
            rest = {key: value[key] for key in value if key not in desks}
            keys, settings = self._model(ChannelKeys, desks, path), self._model(model, rest, path)
            if keys is not None and settings is not None:
                found[name] = (keys, settings)
        return found

    def listed(self, table: str, model: type[M]) -> list[tuple[int, M]]:
        """[[table]] with the places of its entries, from 0."""
        entries = self.raw.get(table, [])
        if not isinstance(entries, list):
            self.problems.append(Problem(table, "this must be a list of tables", f"write [[{table}]] over each"))
            return []
        read = ((place, self._model(model, entry, f"{table}[{place}]")) for place, entry in enumerate(entries))
        return [(place, one) for place, one in read if one is not None]

    def _entries(self, table: str) -> Iterator[tuple[str, Any]]:
        value = self.raw.get(table, {})
        if not isinstance(value, dict):
            self.problems.append(Problem(table, "this must be a table", f"write [{table}.NAME] over each"))
            return
        for name, entry in value.items():
            if not _NAME.fullmatch(name):
                mend = "a name is an ASCII letter, then letters, digits, - and _; people see display_name"
                self.problems.append(Problem(f"{table}.{name}", f'"{name}" cannot be a name', mend))
            yield name, entry

    def _model(self, model: type[M], value: Any, path: str) -> M | None:
        """The model, or what could be read of it: a wrong key must not hide a wrong name beside it."""
        try:
            read = model.model_validate(value)
        except ValidationError as error:
            self.problems.extend(of_model(error, model, path))
            if not isinstance(value, dict):
                return None
            read = _partial(model, value, {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]})
        anchored: M = _anchored(read, self.base)
        return anchored


def _partial(model: type[M], value: Mapping[str, Any], wrong: set[str]) -> M:
    """What is right of a table that is refused: good for following names, never for use."""
    good: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name in value and name not in wrong:
            try:
                adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]
                good[name] = adapter.validate_python(value[name])
                continue
            except ValidationError:
                pass  # reported already
        if field.is_required():
            good[name] = () if get_origin(field.annotation) is tuple else "" if field.annotation is str else None
    return model.model_construct(**good)


def _types(written: object) -> str:
    return closest(str(written), _CHANNEL_MODELS) if written is not None else f"one of {', '.join(_CHANNEL_MODELS)}"


def _anchored(value: Any, base: Path) -> Any:
    """The same with every relative path made absolute, counted from the configuration's folder."""
    if isinstance(value, Path):
        return base / value
    if isinstance(value, tuple):
        return tuple(_anchored(item, base) for item in value)
    if isinstance(value, Store) and value.url.startswith("sqlite:///"):
        file = value.url.removeprefix("sqlite:///")
        value = value.model_copy(update={"url": f"sqlite:///{base / file}"})
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return value.model_copy(update={name: _anchored(inner, base) for name, inner in fields.items()})
    return value
