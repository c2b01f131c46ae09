"""Results on disk: one SQLite file per sweep, a row per point, written by the driver alone.

Everything is committed in the write-ahead log, so that a driver that dies at any moment loses nothing it has reported.
Two drivers may use one file: whoever is second to finish a point changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from accelsim.errors import AccelsimError
from accelsim.explore.outcome import FINAL, Outcome
from accelsim.explore.schema import APPLICATION, SCHEMA, columns, create, metrics_of, migrate

_BUSY_MS: Final = 30_000
_IN_SQL: Final = 500
_LARGEST: Final = 1 << 63


class StoreError(AccelsimError):
    """A store that cannot be used as it is, or cannot take more."""


class Store:
    """The results of one sweep.

    Args:
        path: the file; made, with its folder, if it is not there.
        metrics: names of the metrics, in the order of `Outcome.metrics`.
        fresh: start anew; the old file gets the time in its name.

    Raises:
        StoreError: no store of this kind, one of another version or with other metrics, or no room.
    """

    def __init__(self, path: str | Path, metrics: Sequence[str], *, fresh: bool = False) -> None:
        self.path, self.metrics = Path(path), tuple(metrics)
        if fresh:
            _put_aside(self.path)
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_BUSY_MS / 1000, isolation_level=None)
        try:
            with _told(self.path):
                self._prepare()
        except AccelsimError:
            self._db.close()
            raise
        names = columns(self.metrics)
        self._insert = (
            f"INSERT INTO results ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names[2:])} "
            "WHERE results.status NOT IN ('ok', 'infeasible')"
        )
        self._empty = (None,) * len(self.metrics)

    def _prepare(self) -> None:
        # the tables first: another driver may be about to make them, with their version
        tables = [row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        version, owner = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
        if tables and owner != APPLICATION:
            raise StoreError(f"{self.path} is no store of a sweep but another SQLite file: name another with --store")
        if version > SCHEMA:
            raise StoreError(
                f"{self.path} is a store of version {version}, this accelsim knows those up to {SCHEMA}: use the "
                "accelsim that wrote it, name another file with --store, or start anew with --fresh, which keeps the "
                "old file"
            )
        there = metrics_of(self._db) if tables else list(self.metrics)
        if there != list(self.metrics):
            other = sorted(set(there) ^ set(self.metrics))
            raise StoreError(
                f"{self.path} holds other metrics ({', '.join(other) or 'in another order'}): name another file with "
                "--store, or start anew with --fresh, which keeps the old file"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            with self._transaction():
                create(self._db, self.metrics)
        elif version < SCHEMA:
            with self._transaction():
                if self._db.execute("PRAGMA user_version").fetchone()[0] < SCHEMA:  # not by another driver meanwhile
                    migrate(self._db)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk has rolled it back already
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, outcomes: Iterable[Outcome], designs: Mapping[str, str], version: str) -> int:
        """Commits outcomes. A point that is finished stays as it is.

        Args:
            outcomes: what came back.
            designs: key -> digest of the point without the code.
            version: the code that computed them.

        Returns:
            How many of them were finished already, by another driver.

        Raises:
            StoreError: no room, or the file cannot be written.
        """
        now = time.time()
        rows = [
            (
                one.key, designs[one.key], one.status, one.reason, one.elapsed_s, one.worker, one.attempt, now, version,
                *(map(_cell, one.metrics) if one.metrics is not None else self._empty),
            )
            for one in outcomes
        ]  # fmt: skip
        with _told(self.path), self._transaction():
            return len(rows) - self._db.executemany(self._insert, rows).rowcount

    def statuses(self, keys: Sequence[str]) -> dict[str, str]:
        """The status of those points that have a row."""
        return dict(self._chosen("key, status", "key", keys))

    def metrics_of(self, keys: Sequence[str]) -> dict[str, tuple[str, tuple[Any, ...]]]:
        """Status and metrics of those points that have a row."""
        names = ", ".join(f'"m_{name}"' for name in self.metrics)
        return {row[0]: (row[1], row[2:]) for row in self._chosen(f"key, status, {names}", "key", keys)}

    def elsewhere(self, designs: Sequence[str]) -> dict[str, str]:
        """Design -> key of the latest finished row of any version."""
        found = self._chosen("design, key, status, finished_at", "design", designs)
        rows = sorted((row for row in found if row[2] in FINAL), key=lambda row: row[3])
        return {design: key for design, key, _, _ in rows}

    def _chosen(self, what: str, column: str, values: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        with _told(self.path):
            if len(values) > 20 * _IN_SQL:
                wanted = set(values)
                place = [name.strip() for name in what.split(",")].index(column)
                return [row for row in self._db.execute(f"SELECT {what} FROM results") if row[place] in wanted]
            for start in range(0, len(values), _IN_SQL):
                part = values[start : start + _IN_SQL]
                blanks = ", ".join("?" * len(part))
                found += self._db.execute(f"SELECT {what} FROM results WHERE {column} IN ({blanks})", part).fetchall()
        return found

    def plan(
        self, keys: Sequence[str], used: Sequence[str], axes: Iterable[Sequence[Any]], about: Mapping[str, Any]
    ) -> None:
        """Keeps which points the sweep has, in its order, and what describes it; in place of the plan before.

        Args:
            keys: of the points.
            used: key of the row that stands for each of them: its own, or one of another version.
            axes: cells of the axis columns of each point.
            about: further facts by name, in JSON's types.
        """
        rows = (
            (place, key, row, json.dumps(cells))
            for place, (key, row, cells) in enumerate(zip(keys, used, axes, strict=True))
        )
        with _told(self.path), self._transaction():
            self._db.execute("DELETE FROM plan")
            self._db.executemany("INSERT INTO plan VALUES (?, ?, ?, ?)", rows)
            self._db.execute("DELETE FROM about")
            facts = [(name, json.dumps(value)) for name, value in about.items()]
            self._db.executemany("INSERT INTO about VALUES (?, ?)", facts)

    def about(self) -> dict[str, Any]:
        """Facts about the plan; empty before the first."""
        with _told(self.path):
            return {name: json.loads(value) for name, value in self._db.execute("SELECT name, value FROM about")}

    def rows(self) -> list[tuple[Any, ...]]:
        """Planned points that have a row, in order: key, axes (JSON), status, reason, bookkeeping, metrics."""
        names = ", ".join(f"r.{name}" for name in columns(self.metrics)[2:])
        with _told(self.path):
            return self._db.execute(
                f"SELECT p.key, p.axes, p.used, {names} FROM plan p JOIN results r ON r.key = p.used "
                "ORDER BY p.position"
            ).fetchall()

    def counts(self) -> dict[str, int]:
        """How many planned points have each status."""
        query = "SELECT r.status, COUNT(*) FROM plan p JOIN results r ON r.key = p.used GROUP BY r.status"
        with _told(self.path):
            return dict(self._db.execute(query).fetchall())

    def close(self) -> None:
        """Closes the file."""
        self._db.close()


def _cell(value: Any) -> Any:
    """A number as SQLite holds it; whole numbers beyond 64 bits as text."""
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return value


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's faults as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text:
            raise StoreError(
                f"{path}: no room left on the disk; what was finished before is kept: make room and run the sweep again"
            ) from None
        hint = "another program holds it" if "locked" in text else "is the folder there, and may it be written?"
        raise StoreError(f"{path}: {text}: {hint}") from None
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is no store of a sweep ({error}): name another file with --store") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None


def _put_aside(path: Path) -> None:
    """Renames a store and what SQLite keeps beside it."""
    if not path.exists():
        return
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = path.with_name(f"{path.stem}-{stamp}{path.suffix}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem}-{stamp}-{number}{path.suffix}")
    with _told(path):
        for ending in ("-wal", "-shm"):
            beside = Path(f"{path}{ending}")
            if beside.exists():
                beside.rename(f"{target}{ending}")
        path.rename(target)
