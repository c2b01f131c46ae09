"""The tables of a store, and what becomes of those that an earlier accelsim has made."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

SCHEMA: Final = 2
"""Version of the tables; it grows when they change."""

APPLICATION: Final = 0x616363_53
"""SQLite's application_id of these files: "accS"."""

BOOKKEEPING: Final = ("elapsed_s", "worker", "attempt", "finished_at", "model_version")


def columns(metrics: Sequence[str]) -> list[str]:
    """Columns of the results, in order."""
    return ["key", "design", "status", "reason", *BOOKKEEPING, *(f'"m_{name}"' for name in metrics)]


def metrics_of(db: sqlite3.Connection) -> list[str]:
    """The metrics that the results have columns for."""
    return [row[1].removeprefix("m_") for row in db.execute("PRAGMA table_info(results)") if row[1][:2] == "m_"]


def create(db: sqlite3.Connection, metrics: Sequence[str]) -> None:
    """Makes the tables, within the transaction of the caller.

    Rows of results lie in the order in which they came: in that of their keys, which are random, every commit would
    write all pages of the file.
    """
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    _results(db, metrics)
    db.execute("CREATE TABLE IF NOT EXISTS plan (position INTEGER PRIMARY KEY, key TEXT, used TEXT, axes TEXT)")
    db.execute("CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT)")


def migrate(db: sqlite3.Connection) -> None:
    """Brings the tables of version 1 to this one, within the transaction of the caller: rows stay what they are.

    Version 1 kept results in the order of their keys and had an index of their designs.
    """
    metrics = metrics_of(db)
    db.execute("DROP INDEX IF EXISTS designs")
    db.execute("ALTER TABLE results RENAME TO results_1")
    _results(db, metrics)
    names = ", ".join(columns(metrics))
    db.execute(f"INSERT INTO results ({names}) SELECT {names} FROM results_1 ORDER BY finished_at")
    db.execute("DROP TABLE results_1")
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def _results(db: sqlite3.Connection, metrics: Sequence[str]) -> None:
    types = {"elapsed_s": "REAL", "attempt": "INTEGER", "finished_at": "REAL"}
    named = [f"{name} {types.get(name, 'TEXT')}" for name in columns(())]
    named[0] += " PRIMARY KEY"
    db.execute(f"CREATE TABLE IF NOT EXISTS results ({', '.join([*named, *columns(metrics)[len(named) :]])})")
