"""Where a saga is told the tests' database: by a secret, as one with a password must be."""

DATABASE = "SAGAKIT_TEST_DATABASE"
