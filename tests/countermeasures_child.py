"""A process that is killed while its saga holds a semantic lock: FOLDER and when it dies."""

import sys
from pathlib import Path

from test_countermeasures import Bank, locking_order

from sagakit import Engine

if __name__ == "__main__":
    folder, moment = Path(sys.argv[1]), sys.argv[2]
    bank = Bank(folder / "bank.db")
    with Engine(folder / "sagas.db") as engine:
        engine.run(locking_order(bank.participant, die=moment), 60, id="order-1")
