"""The checkout world: four services with their own databases, and what makes them safe.

It needs SQLAlchemy: ``pip install "sagakit[services]"``. ``import sagakit`` never loads it.
"""

import importlib.util

if importlib.util.find_spec("sqlalchemy") is None:
    raise ModuleNotFoundError(
        "sagakit.services needs SQLAlchemy: pip install 'sagakit[services]'", name="sqlalchemy"
    )

from sagakit.services.actions import Action, Compensation, Confirmation
from sagakit.services.books import Books
from sagakit.services.database import open_database
from sagakit.services.inbox import Hold
from sagakit.services.participant import KeyReusedError, Participant
from sagakit.services.rows import SqlOperations, SqlRows, operations_table
from sagakit.services.world import CheckoutWorld

__all__ = [
    "Action",
    "Books",
    "CheckoutWorld",
    "Compensation",
    "Confirmation",
    "Hold",
    "KeyReusedError",
    "Participant",
    "SqlOperations",
    "SqlRows",
    "open_database",
    "operations_table",
]
