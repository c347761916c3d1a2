"""Records survive JSON, and nothing else passes for one."""

import json
import math
from typing import Any

import pytest

from kdbench.results import Record


def test_a_record_survives_json_unchanged(make_record: Any) -> None:
    record = make_record()
    assert Record.from_json(record.to_json()) == record


def test_a_failed_record_survives_json_unchanged(make_record: Any) -> None:
    record = make_record(status="failed", reason="loss is not finite", metrics={})
    assert Record.from_json(record.to_json()) == record


def test_json_does_not_depend_on_the_order_of_insertion(make_record: Any) -> None:
    one = make_record(facts={"a": 1.0, "b": 2.0}).to_json()
    other = make_record(facts={"b": 2.0, "a": 1.0}).to_json()
    assert one == other


def test_json_starts_with_the_schema_and_indents_by_one(make_record: Any) -> None:
    assert make_record().to_json().startswith('{\n "schema": 1,\n "digest": "abc",\n "cell": {\n  "protocol"')


def test_numbers_come_back_bit_for_bit(make_record: Any) -> None:
    value = 0.1 + 0.2
    back = Record.from_json(make_record(metrics={"student": {"accuracy": value}}).to_json())
    assert back.metrics["student"]["accuracy"].hex() == value.hex()


def test_numbers_that_are_not_finite_are_written_as_null(make_record: Any) -> None:
    text = make_record(
        facts={"beta": math.nan}, costs={"flops": math.inf}, metrics={"student": {"x": [math.nan]}}
    ).to_json()
    content = json.loads(text, parse_constant=pytest.fail)
    assert (content["facts"], content["costs"], content["metrics"]) == (
        {"beta": None},
        {"flops": None},
        {"student": {"x": [None]}},
    )


def test_null_facts_costs_and_seconds_read_as_nan(make_record: Any) -> None:
    record = make_record(facts={"beta": math.nan}, costs={"flops": -math.inf}, seconds=math.nan)
    back = Record.from_json(record.to_json())
    assert all(math.isnan(value) for value in (back.facts["beta"], back.costs["flops"], back.seconds))


def test_tuples_are_written_as_lists(make_record: Any) -> None:
    back = Record.from_json(make_record(cell={"taps": (1, (2, 3))}).to_json())
    assert back.cell == {"taps": [1, [2, 3]]}


def test_values_that_are_no_json_are_refused(make_record: Any) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        make_record(cell={"what": object()}).to_json()


def test_another_schema_is_named_before_its_fields_are_judged() -> None:
    with pytest.raises(ValueError, match="schema 2 came, schema 1 is wanted"):
        Record.from_json('{"schema": 2, "new_field": 0}')


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3"])
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"came, (JSON|a JSON object) is wanted"):
        Record.from_json(text)


def test_missing_and_unknown_fields_are_named(make_record: Any) -> None:
    content = json.loads(make_record().to_json())
    content["colour"] = content.pop("digest")
    with pytest.raises(ValueError, match=r"missing: \['digest'\], unknown: \['colour'\]"):
        Record.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digest", 7),
        ("cell", []),
        ("cell", None),
        ("kind", None),
        ("status", "don"),
        ("status", ["done"]),
        ("reason", 4),
        ("side", "train"),
        ("metrics", {"student": 0.5}),
        ("facts", {"beta": "high"}),
        ("facts", [1]),
        ("costs", {"parameters": True}),
        ("warnings", "slow"),
        ("warnings", [1]),
        ("seconds", "1.5"),
        ("peak_memory", 1.5),
        ("peak_memory", True),
        ("device", None),
        ("versions", {"torch": 2.13}),
        ("sources", None),
        ("commit", 12),
        ("finished", 2026),
        ("schema", True),
        ("schema", 1.0),
    ],
)
def test_a_field_of_the_wrong_type_is_named(make_record: Any, field: str, value: Any) -> None:
    content = json.loads(make_record().to_json()) | {field: value}
    with pytest.raises(ValueError, match=f"record: {field}"):
        Record.from_json(json.dumps(content))


def test_a_done_record_wants_metrics_of_the_student(make_record: Any) -> None:
    with pytest.raises(ValueError, match="'student'"):
        make_record(metrics={"teacher": {}})


def test_a_failed_record_wants_a_reason(make_record: Any) -> None:
    with pytest.raises(ValueError, match="without a reason"):
        make_record(status="failed")
