"""The local driver: real time, in this process; durable with an ``Engine``."""

from sagakit.drivers.local.direct import arun, run
from sagakit.drivers.local.engine import Engine

__all__ = ["Engine", "arun", "run"]
