"""One errand: a whole transaction that SQLite's thread runs without coming back to the event loop in between.

Handing a statement to the thread and its rows back, through the layers that make that look like waiting, costs several
times what the statement costs. So who knows beforehand what he will ask hands over all of it: a coroutine that waits
for nothing but its transaction is here driven like a function, in the thread that has the file.

A statement that is made once is planned once: what it says and how its values go in and out is kept by its identity.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Delete, Dialect, Engine, Executable, Select, Update, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

T = TypeVar("T")
Params = Mapping[str, Any]
Converter = Callable[[Any], Any]

MAX_PLANS = 500  # statements that a connection remembers; those that are made anew each time push each other out

_LIST = "__[POSTCOMPILE_{}]"  # where SQLAlchemy leaves room for as many values as will be given


class WaitsForOthers(RuntimeError):
    """What was to be one errand waited for something that is not the store."""


def driven(work: Awaitable[T]) -> T:
    """Run what never waits to its end. Raises WaitsForOthers where it does."""
    coroutine = cast(Coroutine[Any, Any, T], work)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    coroutine.close()
    raise WaitsForOthers("an errand waits for its transaction alone")


class Errands:
    """One connection of SQLite, in its thread: transactions, and statements at once. Everything here is synchronous."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        # Statements that nobody has planned go through SQLAlchemy. It is told nothing of transactions.
        self._layers: Connection = _layers(raw).connect()
        self._plans: OrderedDict[int, _Known] = OrderedDict()

    @property
    def dialect(self) -> Dialect:
        return self._layers.dialect

    def begin(self, word: str) -> None:
        self._plain(word)

    def commit(self) -> None:
        self._plain("COMMIT")

    def rollback(self) -> None:
        """Undo what is open; nothing where SQLite has done so itself."""
        if self._raw.in_transaction:
            self._plain("ROLLBACK")

    def _plain(self, sql: str) -> None:
        try:
            self._raw.execute(sql)
        except sqlite3.Error as error:
            raise _named(sql, error) from error

    def execute(self, statement: Executable, params: Params | Sequence[Params] | None) -> Any:
        """As SQLAlchemy's `Connection.execute`."""
        return self._layers.execute(statement, params)

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run what the driver understands once for each row."""
        try:
            self._raw.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _named(sql, error) from error

    def rows(self, statement: Executable, params: Params | None) -> list[dict[str, Any]]:
        """All rows as plain dictionaries."""
        plan = self._plan(statement)
        if plan is None or not plan.serves(params):
            result = self._layers.execute(statement, params)
            names = tuple(result.keys())
            found = [dict(zip(names, row, strict=True)) for row in result]
            self._remember(statement, names)
            return found
        cursor = self._run(plan, params)
        return plan.dictionaries(cursor.fetchall())

    def changed(self, statement: Update | Delete, params: Params | None) -> int:
        """How many rows a statement has changed or deleted."""
        plan = self._plan(statement)
        if plan is None or not plan.serves(params):
            done = self._layers.execute(statement, params)
            self._remember(statement, ())
            return int(done.rowcount)
        return self._run(plan, params).rowcount

    def _run(self, plan: Plan, params: Params | None) -> sqlite3.Cursor:
        sql, values = plan.filled(params or {})
        try:
            return self._raw.execute(sql, values)
        except sqlite3.Error as error:
            raise _named(sql, error) from error

    def _plan(self, statement: Executable) -> Plan | None:
        known = self._plans.get(id(statement))
        if known is None:
            return None
        self._plans.move_to_end(id(statement))
        return known.plan

    def _remember(self, statement: Executable, names: tuple[str, ...]) -> None:
        """Who asks once may have made the statement for that alone: whoever asks again has one that stays."""
        key = id(statement)
        known = self._plans.get(key)
        if known is None:
            self._plans[key] = _Known(statement)
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        elif not known.is_tried:
            known.plan, known.is_tried = plan_of(statement, names, self.dialect), True


@dataclass(slots=True)
class _Known:
    """A statement that was asked before; kept alive, so that no other gets its identity."""

    statement: Executable
    plan: Plan | None = None
    is_tried: bool = False  # whether a plan was made, or cannot be


def _layers(raw: sqlite3.Connection) -> Engine:
    # Nothing is undone where it is thrown away: it may be closed by then.
    options = {"poolclass": NullPool, "pool_reset_on_return": None, "hide_parameters": True}
    return create_engine("sqlite://", creator=lambda: raw, **options)


def _named(sql: str, error: sqlite3.Error) -> BaseException:
    """The driver's error as SQLAlchemy names it, without the values."""
    return DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement wants values: a given one, a list of given ones, or always the same."""

    name: str
    convert: Converter | None  # how the driver wants it
    is_list: bool = False
    is_required: bool = True
    constant: tuple[Any, ...] | None = None  # in the driver's form; nothing is given for it

    def values(self, params: Params) -> Sequence[Any]:
        if self.constant is not None:
            return self.constant
        given: Any = params[self.name] if self.is_required else params.get(self.name)
        if self.is_list:
            return list(map(self.convert, given)) if self.convert else given
        return (self.convert(given) if self.convert else given,)


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement that is made once, as the driver is asked it."""

    sql: str
    places: tuple[Place, ...]
    columns: tuple[tuple[str, Converter | None], ...]  # (name, how it comes out)

    def serves(self, params: Params | None) -> bool:
        """Whether it can be asked so: what is in an empty list, SQLAlchemy knows how to ask."""
        return all(params is not None and params.get(place.name) for place in self.places if place.is_list)

    def filled(self, params: Params) -> tuple[str, list[Any]]:
        """The words and values for the driver."""
        sql = self.sql
        values: list[Any] = []
        for place in self.places:
            given = place.values(params)
            values.extend(given)
            if place.is_list:
                sql = sql.replace(_LIST.format(place.name), _marks(len(given)), 1)
        return sql, values

    def dictionaries(self, found: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        names = [name for name, _ in self.columns]
        made = [dict(zip(names, row, strict=True)) for row in found]
        for name, convert in self.columns:
            if convert is not None:
                for row in made:
                    row[name] = convert(row[name])
        return made


def _marks(count: int) -> str:
    return "?" + ", ?" * (count - 1)


def plan_of(statement: Executable, names: tuple[str, ...], dialect: Dialect) -> Plan | None:
    """How it is asked, and its columns by these names; None for what cannot be kept."""
    if not isinstance(statement, Select | Update | Delete):
        return None
    kinds = [c.type for c in statement.selected_columns] if isinstance(statement, Select) else []
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    if len(kinds) != len(names) or len(set(names)) != len(names) or compiled.literal_execute_params:
        return None
    sql = compiled.string
    places = []
    for name in compiled.positiontup or ():
        bind = compiled.binds[name]
        convert, own = going_in(bind.type, dialect), bind.effective_value
        if own is None:
            places.append(Place(name, convert, is_list=bind.expanding, is_required=bind.required or bind.expanding))
            continue
        constant = own if bind.expanding else [own]
        if bind.expanding and own:
            sql = sql.replace(_LIST.format(name), _marks(len(constant)), 1)
        elif bind.expanding or bind.key == name:  # an empty list, or one value where none is given
            return None
        places.append(Place(name, convert, constant=tuple(convert(v) if convert else v for v in constant)))
    columns = tuple((name, coming_out(kind, dialect)) for name, kind in zip(names, kinds, strict=True))
    return None if sql.count("__[POSTCOMPILE_") != sum(p.is_list for p in places) else Plan(sql, tuple(places), columns)


def going_in(kind: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    """How the driver wants values of a type; None where it takes them as they are."""
    if dialect.name == "sqlite" and isinstance(kind, UTCDateTime):
        return _moment
    return kind.dialect_impl(dialect).bind_processor(dialect)


def coming_out(kind: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    """What becomes of the driver's values of a type; None where they stay as they are."""
    if dialect.name == "sqlite" and isinstance(kind, UTCDateTime):
        return _read_moment
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _moment(at: datetime | None) -> str | None:
    """An aware moment as SQLAlchemy writes it on SQLite, a quarter of the price."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _read_moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    at = datetime.fromisoformat(written)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
