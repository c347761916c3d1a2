from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbench.errors import KdbenchError
from kdbench.roles import Role
from kdbench.spec.cell import Cell, Part
from kdbench.spec.matrix import Matrix, MethodRow, shipped_matrices
from kdbench.spec.pairs import pair_lists, parse_pair, parse_pairs
from kdbench.spec.recipe import RECIPES, Recipe, parse_recipe
from kdbench.spec.seeds import parse_seeds
from kdbench.spec.words import Spec, parse_value

names = st.from_regex(r"[a-zA-Z_][\w.-]{0,12}", fullmatch=True)
printable = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
words = st.text(printable, min_size=1, max_size=9).filter(lambda w: not {*"\"'"} <= {*w})
values = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), words)
specs = st.builds(Spec, names, st.dictionaries(st.from_regex(r"[a-z_]\w{0,9}", fullmatch=True), values, max_size=4))
seeds = st.lists(st.integers(0, 999), min_size=1, max_size=5, unique=True).map(tuple)
plain_text = st.text(printable, max_size=20)
recipes = st.builds(
    Recipe,
    name=plain_text.filter(lambda name: name not in RECIPES),
    epochs=st.integers(1, 1000),
    batch_size=st.integers(2, 1000),
    learning_rate=st.floats(1e-9, 100),
    weight_decay=st.one_of(st.integers(0, 100), st.floats(0, 100)),
    note=plain_text,
)
matrices = st.builds(
    Matrix,
    name=st.from_regex(r"\w[\w .()=+-]{0,20}", fullmatch=True),
    datasets=st.lists(specs, min_size=1, max_size=3).map(tuple),
    pairs=st.lists(st.tuples(specs, specs), min_size=1, max_size=3).map(tuple),
    methods=st.lists(st.builds(MethodRow, specs, plain_text), max_size=3).map(tuple),
    seeds=seeds,
    protocol=plain_text,
    recipe=st.one_of(recipes, st.sampled_from(list(RECIPES.values()))),
    fallback=st.none() | specs,
    description=plain_text,
)


@given(specs)
def test_what_a_spec_says_is_read_as_the_same_spec(spec: Spec) -> None:
    again = Spec.parse(str(spec))
    assert again == spec
    assert list(map(type, again.settings.values())) == list(map(type, spec.settings.values()))


@settings(max_examples=40)
@given(matrices)
def test_a_matrix_comes_back_from_its_plain_form_through_json(matrix: Matrix) -> None:
    assert Matrix.from_plain(json.loads(json.dumps(matrix.plain()))) == matrix


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("kd", Spec("kd")),
        ("kd()", Spec("kd")),
        ("  kd ( alpha = 0.5 ,role=peer, ) ", Spec("kd", {"alpha": 0.5, "role": "peer"})),
        ("a.b-c(x=1e-3, y='1', z=TRUE)", Spec("a.b-c", {"x": 1e-3, "y": "1", "z": True})),
        ("a(x=\n1)", Spec("a", {"x": 1})),
    ],
)
def test_people_may_write_a_spec_with_spaces_quotes_and_a_comma_at_the_end(text: str, spec: Spec) -> None:
    assert Spec.parse(text) == spec


def test_an_integer_stays_one_and_a_number_with_a_point_does_not() -> None:
    assert [type(parse_value(text)) for text in ("3", "3.0", "3e0", "-3", "three")] == [int, float, float, int, str]


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ("5", (0, 1, 2, 3, 4)),
        ("1", (0,)),
        ("0-4", (0, 1, 2, 3, 4)),
        ("3-3", (3,)),
        ("0,3", (0, 3)),
        ("3,0", (3, 0)),
        (" 0 , 7-8 ", (0, 7, 8)),
        ("4,", (4,)),
        (3, (0, 1, 2)),
        ([4, 2], (4, 2)),
    ],
)
def test_seeds_are_counted_ranged_or_listed(given: object, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(given) == seeds


@given(seeds)
def test_seeds_listed_with_commas_are_read_as_they_are(seeds: tuple[int, ...]) -> None:
    assert parse_seeds(",".join(map(str, seeds)) + ",") == seeds


@given(st.text(alphabet="0123456789-, x.", max_size=12))
def test_any_text_gives_seeds_each_once_or_an_error(text: str) -> None:
    try:
        seeds = parse_seeds(text)
    except KdbenchError:
        return
    assert 0 < len(seeds) == len(set(seeds)) <= 1_000_000
    assert min(seeds) >= 0


def test_a_pair_is_a_teacher_and_a_student() -> None:
    assert parse_pair("big(width=2):small") == (Spec("big", {"width": 2}), Spec("small"))


BIG_SMALL = parse_pair("resnet_lstman:mlp")


def test_a_list_of_pairs_may_be_named_alone_or_among_pairs() -> None:
    table = {"name": "x", "datasets": ["synthetic"]}
    assert Matrix.from_plain({**table, "pairs": "headline"}).pairs == (BIG_SMALL,)
    mixed = Matrix.from_plain({**table, "pairs": ["mlp:cnn", "headline"]})
    assert mixed.pairs == (parse_pair("mlp:cnn"), BIG_SMALL)
    assert mixed.plain()["pairs"] == ["mlp:cnn", "resnet_lstman:mlp"]  # a later version of the list changes nothing
    assert Matrix.from_plain({**table, "pairs": "mlp:cnn"}).pairs == (parse_pair("mlp:cnn"),)


def test_lists_bring_each_pair_once_and_what_is_written_twice_stays_twice() -> None:
    paper = pair_lists()["paper"].pairs
    assert BIG_SMALL in paper
    assert parse_pairs(["headline", "paper", "headline"]) == paper
    assert parse_pairs(["paper", "resnet_lstman:mlp"]) == (*(p for p in paper if p != BIG_SMALL), BIG_SMALL)
    assert parse_pairs(["mlp:cnn", "mlp:cnn"]) == (parse_pair("mlp:cnn"),) * 2


def test_a_list_of_pairs_that_is_unknown_is_told_with_the_nearest() -> None:
    with pytest.raises(KdbenchError, match=r"'papr' is not of the form teacher:student.*did you mean 'paper'\?"):
        parse_pairs(["papr"])


def test_a_recipe_table_starts_from_another_recipe() -> None:
    recipe = parse_recipe({"name": "short", "base": "cpu", "batch_size": 8, "note": "for a test"})
    assert recipe == replace(RECIPES["cpu"], name="short", batch_size=8, note="for a test")


def test_a_changed_recipe_says_so_in_its_name_and_an_unchanged_one_does_not() -> None:
    recipe = RECIPES["har"]
    assert recipe.changed({"epochs": 120}) is recipe
    assert recipe.changed({"epochs": 2, "batch_size": 128}).name == "har(epochs=2)"


def test_whole_numbers_make_the_same_recipe_as_those_with_a_point() -> None:
    one, other = Recipe(weight_decay=0), Recipe(weight_decay=0.0)
    assert json.dumps(vars(one)) == json.dumps(vars(other))


@pytest.mark.parametrize("name", shipped_matrices())
def test_a_shipped_matrix_is_valid_and_says_what_it_is_for(name: str) -> None:
    matrix = Matrix.load(name)
    assert matrix.name == name
    assert matrix.description


CELL = Cell(
    dataset=Part("synthetic", (("people", 4), ("difficulty", 1.0)), 1),
    dataset_name="synthetic",
    data="0" * 64,
    protocol="subject-v1",
    fold=0,
    method=Part("kd", (("temperature", 4.0), ("alpha", 0.9)), 1),
    role=Role.FROZEN,
    student=Part("mlp", (("hidden", 16),), 1),
    teacher=Part("resnet_lstman", (("width", 0.25), ("lstm_axis", "channel")), 2),
    teacher_cell="0123456789abcdef0123",
    seed=3,
    recipe=Recipe(name="r", epochs=2, batch_size=8, learning_rate=0.1, final_learning_rate=0, weight_decay=0, note="n"),
)


def test_the_digest_of_a_cell_is_what_it_always_was() -> None:
    # Stores name their folders by it: where this changes, every result that was ever kept is orphaned.
    assert CELL.digest == "2a540365e558d55cce90"


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": Part("synthetic", (("people", 5), ("difficulty", 1.0)), 1)},
        {"dataset": replace(CELL.dataset, version=2)},
        {"dataset_name": "study"},
        {"data": "1" * 64},
        {"protocol": "subject-v2"},
        {"fold": 1},
        {"method": replace(CELL.method, version=2)},
        {"method": Part("kd", (("temperature", math.nextafter(4, 5)), ("alpha", 0.9)), 1)},
        {"role": "tuned"},
        {"student": replace(CELL.student, version=2)},
        {"teacher": None},
        {"teacher_cell": "1123456789abcdef0123"},
        {"seed": 4},
        {"recipe": replace(CELL.recipe, epochs=3)},
        {"recipe": replace(CELL.recipe, learning_rate=0.2)},
    ],
)
def test_everything_that_numbers_depend_on_is_in_the_digest(change: dict[str, object]) -> None:
    assert replace(CELL, **change).digest != CELL.digest  # type: ignore[arg-type]


def test_what_a_recipe_is_called_is_not_in_the_digest() -> None:
    named = replace(CELL.recipe, name="another", note="for nobody")
    assert replace(CELL, recipe=named).digest == CELL.digest


def test_a_cell_comes_back_as_it_was_written_also_by_a_kdbench_that_named_its_recipe() -> None:
    assert Cell.from_plain(json.loads(json.dumps(CELL.plain))).digest == CELL.digest
    old = {**CELL.plain, "recipe": {**CELL.plain["recipe"], "name": "cpu", "note": "a look"}}
    del old["dataset_name"]
    assert Cell.from_plain(old).digest == CELL.digest


def test_the_order_in_which_settings_are_written_is_not_in_the_digest() -> None:
    turned = replace(CELL.method, settings=tuple(reversed(CELL.method.settings)))
    assert replace(CELL, method=turned).digest == CELL.digest


def test_a_text_that_looks_like_something_else_stands_in_quotes() -> None:
    assert Spec.parse("own(path='2024')").settings == {"path": "2024"}
    assert Spec.parse("own(path='my, study')").settings == {"path": "my, study"}
    assert str(Spec("own", {"path": "true"})) == 'own(path="true")'


@pytest.mark.parametrize("name", ["../../evil", "a/b", "", "o'brien", "x\x00y", "x" * 81, ".hidden", "two\nlines"])
def test_a_matrix_has_a_name_that_can_stand_in_file_names_and_queries(name: str) -> None:
    with pytest.raises(KdbenchError, match="name"):
        Matrix.from_plain({"name": name, "datasets": ["synthetic"], "pairs": ["mlp:mlp"]})


def test_a_label_is_one_line() -> None:
    row = {"name": "kd", "label": "two\nlines"}
    with pytest.raises(KdbenchError, match="a text of one line"):
        Matrix.from_plain({"name": "x", "datasets": ["synthetic"], "pairs": ["mlp:mlp"], "method": [row]})
