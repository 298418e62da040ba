"""Data models at random, each the same for its seed: long names, circles, keys of many fields."""

from __future__ import annotations

import random

from sagakit.entities import FIELD_TYPES, DataModel, Entity, Field, Relation

_KEYS = [name for name, kind in FIELD_TYPES.items() if kind.key]


def made(seed: int, most: int = 7) -> DataModel:
    """A model without problems."""
    dice = random.Random(seed)
    model = _any(dice, most)
    while model.problems():  # two of its names came out alike
        model = _any(dice, most)
    return model


def _any(dice: random.Random, most: int) -> DataModel:
    longest = dice.choice([0, 4, 12, 40])

    def name(begin: str, number: int) -> str:
        return f"{begin}{number}" + begin * dice.randint(0, longest)

    names = [name("E", number) for number in range(dice.randint(1, most))]
    services = [None, "orders", "stock-room", "pay"][: dice.randint(1, 4)]
    entities = [
        Entity(
            each,
            dice.choice(services),
            (
                *(
                    Field(name("k", i), dice.choice(_KEYS), key=True)
                    for i in range(dice.choice([1, 1, 1, 2, 3]))
                ),
                *(
                    Field(
                        name("f", i),
                        dice.choice(list(FIELD_TYPES)),
                        optional=dice.random() < 0.4,
                        description="words " * dice.choice([0, 0, 3, 30]),
                    )
                    for i in range(dice.randint(0, 5))
                ),
            ),
            tuple(
                Relation(name("r", i), dice.choice(names), dice.choice(["one", "many"]))
                for i in range(dice.choice([0, 1, 1, 2, 3]))
            ),
            description='it says "so" \\ ' * dice.choice([0, 0, 1, 14]),
        )
        for each in names
    ]
    return DataModel(tuple(entities), input=names[0])
