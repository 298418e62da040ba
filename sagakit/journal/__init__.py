"""The saga log: an append-only list of events per execution, in memory or in SQLite."""
