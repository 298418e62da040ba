"""Data models: their plain and YAML forms, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagakit.entities import FIELD_TYPES, DataModel, Entity, Field, Relation
from sagakit.errors import DefinitionError

from .shop import SHOP, shop

ID = Field("id", key=True)


def model(*fields: Field, relations: tuple[Relation, ...] = (), name: str = "Order") -> DataModel:
    return DataModel((Entity(name, fields=fields, relations=relations),))


def problem(of: DataModel) -> tuple[str, tuple[str | int, ...]]:
    """The one problem that a model has."""
    (found,) = of.problems()
    return str(found), found.path


def test_a_model_comes_back_from_its_plain_form_and_from_its_yaml() -> None:
    assert DataModel.from_plain(shop().to_plain()) == shop()
    assert DataModel.from_yaml(shop().to_yaml()) == shop()
    assert shop().problems() == []


def test_the_plain_form_has_what_the_page_needs_even_where_it_is_the_default() -> None:
    plain = model(ID, relations=(Relation("twin", "Order"),)).to_plain()
    assert plain == {
        "entities": [
            {
                "name": "Order",
                "fields": [{"name": "id", "type": "text", "key": True}],
                "relations": [{"name": "twin", "to": "Order", "kind": "one"}],
            }
        ]
    }
    assert DataModel().to_plain() == {"entities": []}
    assert shop().to_plain()["input"] == "Order"
    assert shop().to_plain()["entities"][4]["fields"][0].keys() == {"name", "type", "key"}


def test_the_yaml_form_says_first_what_it_is_about_and_can_be_a_file(tmp_path: Path) -> None:
    text = shop().to_yaml()
    assert text.splitlines()[:4] == [
        "input: Order",
        "entities:",
        "- name: Customer",
        "  service: customers",
    ]
    assert "- name: Order\n  service: orders\n  description: What a customer wants.\n" in text
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP, "utf-8")
    assert DataModel.from_yaml(file) == DataModel.from_yaml(str(file)) == shop()


def test_a_form_that_cannot_be_read_is_refused_with_every_problem_and_its_path() -> None:
    with pytest.raises(DefinitionError) as caught:
        DataModel.from_plain(
            {"entities": [{"name": "A", "fields": [{"type": 3, "keys": True}], "relations": {}}, 7]}
        )
    assert [(str(p), p.path) for p in caught.value.problems] == [
        ("entity 'A': field 1: 'type' is 3; give text", ("entities", 0, "fields", 0, "type")),
        (
            "entity 'A': field 1: the key 'keys' is not known (did you mean 'key'?)",
            ("entities", 0, "fields", 0),
        ),
        ("entity 'A': field 1 has no name; add 'name: …'", ("entities", 0, "fields", 0)),
        (
            "entity 'A': 'relations' is {}; give a list of '- name: …'",
            ("entities", 0, "relations"),
        ),
        ("entity 2 is 7; give a mapping with its fields by name", ("entities", 1)),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entities:\n- name: A\n  fields:\n  - name: id\n    key: maybe",
         "line 5: entity 'A': field 'id': 'key' is 'maybe'; give true or false"),
        ("entities:\n- name: A\n  name: B", "line 3: has 'name' twice; keep one"),
        ("entities: !x []", "line 1: the tag '!x' is not allowed; give plain values"),
        ("- 3", "is not a mapping; begin with 'entities:'"),
        ("entities: [", "is not YAML"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_read_is_refused_with_its_lines(text: str, said: str) -> None:
    with pytest.raises(DefinitionError, match="the YAML text") as caught:
        DataModel.from_yaml(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["", "1st", "größe", "two words", "a-b", "_hidden"])
def test_names_must_be_names_in_python_and_sql(name: str) -> None:
    assert problem(model(ID, Field(name)))[1] == ("entities", 0, "fields", 1, "name")
    assert problem(model(ID, name=name))[1] == ("entities", 0, "name")
    linked = model(ID, relations=(Relation(name, "Order"),))
    assert problem(linked)[1] == ("entities", 0, "relations", 0, "name")


@pytest.mark.parametrize("name", ["class", "metadata", "Decimal", "mapped_column", "a" * 64])
def test_names_that_the_models_could_not_have_are_refused(name: str) -> None:
    assert f"entity 'Order': field '{name}': " in problem(model(ID, Field(name)))[0]


def test_words_of_sql_are_names_like_others() -> None:
    assert model(ID, Field("select"), name="Order").problems() == []


@pytest.mark.parametrize(
    ("made", "said", "path"),
    [
        (model(), "entity 'Order': has no key; mark the field by which a row is found",
         ("entities", 0, "fields")),
        (model(ID, Field("a", "txt")),
         "entity 'Order': field 'a': the type 'txt' is not known (did you mean 'text'?)",
         ("entities", 0, "fields", 1, "type")),
        (model(ID, Field("a"), Field("A")),
         "entity 'Order': field 'A': for SQL it is the same as 'a'; rename one of them",
         ("entities", 0, "fields", 2, "name")),
        (model(ID, relations=(Relation("id", "Order"),)),
         "entity 'Order': relation 'id': the name is taken; rename one of them",
         ("entities", 0, "relations", 0, "name")),
        (model(Field("id", key=True, optional=True)),
         "entity 'Order': field 'id': a key cannot be optional; drop one of the two",
         ("entities", 0, "fields", 0, "optional")),
        (model(ID, relations=(Relation("a", "Ordr"),)),
         "entity 'Order': relation 'a': leads to 'Ordr', which is no entity "
         "(did you mean 'Order'?)",
         ("entities", 0, "relations", 0, "to")),
        (model(ID, relations=(Relation("a"),)),
         "entity 'Order': relation 'a': leads nowhere; known are Order",
         ("entities", 0, "relations", 0, "to")),
        (model(ID, relations=(Relation("a", "Order", "few"),)),
         "entity 'Order': relation 'a': the kind 'few' is not known; give one or many",
         ("entities", 0, "relations", 0, "kind")),
        (model(ID, Field("up_id"), relations=(Relation("up", "Order"),)),
         "entity 'Order': relation 'up': needs a column 'up_id' in 'Order', a name that is taken "
         "or too long for a database; rename it",
         ("entities", 0, "relations", 0, "name")),
        (DataModel((Entity("A", fields=(ID,)),), input="B"),
         "the input 'B' is no entity; name an entity, or leave it out", ("input",)),
        (DataModel((Entity("A", fields=(ID,)), Entity("A", fields=(ID,)))),
         "entity 'A': there are two of this name; rename one of them", ("entities", 1, "name")),
        (DataModel((Entity("OneLine", fields=(ID,)), Entity("one_line", fields=(ID,)))),
         "entity 'one_line': has the table of 'OneLine'; rename one of them",
         ("entities", 1, "name")),
        (DataModel((Entity("A", "a b", (ID,)), Entity("B", "a-b", (ID,)))),
         "service 'a-b' is too like 'a b'; rename one of them", ("entities", 1, "service")),
        (DataModel((Entity("A", "42", (ID,)),)),
         "service '42': begin its name with a letter a to z", ("entities", 0, "service")),
        (DataModel((Entity("ABase", "a", (ID,)),)),
         "service 'a': its base class ABase has the name of entity 'ABase'; rename one of them",
         ("entities", 0, "service")),
    ],
)  # fmt: skip
def test_each_problem_has_its_place_and_its_cure(
    made: DataModel, said: str, path: tuple[str | int, ...]
) -> None:
    assert problem(made) == (said, path)


def test_a_key_has_a_type_that_a_row_can_be_found_by() -> None:
    for name, kind in FIELD_TYPES.items():
        assert (model(Field("id", name, key=True)).problems() == []) is kind.key


def test_tables_of_many_and_many_need_a_name_of_their_own() -> None:
    tagged = DataModel(
        (
            Entity("A", fields=(ID,), relations=(Relation("bs", "B", "many"),)),
            Entity("B", fields=(ID,), relations=(Relation("as_", "A", "many"),)),
            Entity("ABs", fields=(ID,)),
        )
    )
    text, path = problem(tagged)
    assert "entity 'A': relation 'bs': needs a table 'a_bs'" in text
    assert path == ("entities", 0, "relations", 0, "name")


def test_a_model_is_a_value_with_a_repr_that_says_how_large_it_is() -> None:
    assert repr(shop()) == "<DataModel: 5 entities in 3 services>"
    assert repr(model(ID)) == "<DataModel: 1 entity>"
    assert hash(shop()) == hash(shop())
    with pytest.raises(AttributeError):
        shop().input = "Tag"  # type: ignore[misc]


def test_a_wrong_model_gives_no_schema_and_no_models() -> None:
    for ask in (model().input_schema, model().models_source):
        with pytest.raises(DefinitionError, match="the data model: entity 'Order': has no key"):
            ask()
