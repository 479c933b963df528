"""A lock between processes that ends with whoever holds it, whatever ends them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Yield whether the lock is ours now; it is given back when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite's own file lock: the same on every system, and the system drops it with the process.
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            yield False
            return
        yield True
