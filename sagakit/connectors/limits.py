"""How large an expression may be, and how much work one evaluation may do."""

CHARACTERS = 2_000  # of one expression
NESTING = 24  # brackets within brackets
DEPTH = 64  # of the syntax tree
WORK = 100_000  # operations of one evaluation: about a second
TEXT = 100_000  # characters, or bytes, of a text that an expression builds
VALUES = 200_000  # numbers, texts … that one evaluation is given or gives
PATTERN = 500  # characters of a regular expression
MOMENT = 64  # characters of a timestamp or a duration
