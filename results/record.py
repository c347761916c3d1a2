"""The result of one training run as plain data, and its JSON form."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, Literal

SCHEMA = 1

FAILURES = ("failed", "killed", "timed-out", "out-of-memory")
"""How a run can fail: by an error of its own, with its process, by taking too long, for want of memory."""

WEIGHTS = "student.pt"
"""The file beside a record that holds what was deployed, and what teaches where others are taught by it."""

TRAIN_ACCURACY = "train_accuracy"
"""In a curve: share of some training windows that what is deployed gets right after an epoch."""


@dataclass(frozen=True)
class Record:
    """One training run's result; explains itself without the code that made it.

    Values are JSON data (strings, numbers, lists, dicts with string keys), so that ``from_json(to_json())`` gives an
    equal record; tuples are already lists. Building one raises ``ValueError`` where a field has the wrong type, a done
    run lacks the student's metrics, or a failed run lacks a reason.
    """

    schema: int
    """Version of this layout, always ``SCHEMA``."""
    digest: str
    """Digest of the cell."""
    cell: dict[str, Any]
    """The written-out cell."""
    kind: str
    """Kind of method: reference, logit, feature, relation, contrastive, mutual, self, ..."""
    status: Literal["done", "failed"]
    reason: str | None
    """Why the run failed; None where it did not."""
    side: str
    """The split the metrics are of: "test" or "validation"."""
    metrics: dict[str, dict[str, Any]]
    """Output of ``metrics.score`` under "student" and, where the teacher trained too, "teacher"; and that of
    ``metrics.by_person`` as the student's "by_person", which records of an older kdbench lack."""
    facts: dict[str, float]
    """What the method reports about itself; NaN where the value was not finite when written."""
    costs: dict[str, float]
    """Parameter counts and other costs; NaN as in ``facts``."""
    warnings: list[str]
    seconds: float
    """Wall-clock duration of the run."""
    peak_memory: int
    """Peak memory in bytes."""
    device: str
    versions: dict[str, str]
    """Library versions by distribution name."""
    sources: dict[str, str]
    """Hashes of the sources that the run depended on."""
    commit: str | None
    finished: str
    """Time of completion, ISO 8601."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the files beside the record, by name; empty in records that were made before it was kept."""
    teacher_weights: str | None = None
    """SHA-256 of the weights file of the teacher that taught; None without one, and in records made before."""
    failure: str = ""
    """Which of `FAILURES` it was; empty where the run is done, and in failed ones made before it was kept."""

    def __post_init__(self) -> None:
        if not _is_int(self.schema) or self.schema != SCHEMA:
            raise ValueError(f"record: schema {self.schema!r} came, schema {SCHEMA} is wanted")
        for name, (wanted, holds) in _WANTED.items():
            value = getattr(self, name)
            if not holds(value):
                raise ValueError(f"record: {name}={_short(value)} came, {wanted} is wanted")
        if self.status == "done" and "student" not in self.metrics:
            raise ValueError(f"record: metrics of {sorted(self.metrics)} came, a done run wants those of 'student'")
        if self.status == "failed" and not self.reason:
            raise ValueError("record: a failed run came without a reason")

    def to_json(self) -> str:
        """JSON text: fields in their declared order, nested keys sorted, NaN and infinities as null, and a checksum.

        Raises ``TypeError`` on a value that is not JSON data, such as a tensor.
        """
        content = self.plain()
        return json.dumps({**content, "check": _checksum(content)}, indent=1, allow_nan=False)

    def plain(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Record":
        """The record that ``plain`` gave; a null among facts, costs and seconds reads as NaN.

        Raises ``ValueError`` on missing or unknown fields, or wrong types.
        """
        needed, names = _names()
        if not needed <= content.keys() <= names:
            missing, unknown = sorted(needed - content.keys()), sorted(content.keys() - names)
            raise ValueError(f"record: fields missing: {missing}, unknown: {unknown}; wanted: {sorted(names)}")
        given = dict(content)
        for name in ("facts", "costs"):
            if isinstance(given[name], dict):
                given[name] = {key: _number(value) for key, value in given[name].items()}
        given["seconds"] = _number(given["seconds"])
        return cls(**given)

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> "Record":
        """The record of exactly these fields, which are those of one that was built before and are not looked at."""
        record = cls.__new__(cls)
        record.__dict__.update(values)
        return record

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """The record that ``to_json`` wrote; a null among facts, costs and seconds reads as NaN.

        Raises ``ValueError`` on text that is no JSON object, another schema, missing or unknown fields, wrong types, or
        where the checksum is not that of the rest; a text without one is an older record.
        """
        try:
            content = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"record: {_short(text)} came, JSON is wanted ({error})") from error
        if not isinstance(content, dict):
            raise ValueError(f"record: {_short(content)} came, a JSON object is wanted")
        if content.get("schema") != SCHEMA:
            raise ValueError(f"record: schema {content.get('schema')!r} came, schema {SCHEMA} is wanted")
        check = content.pop("check", None)
        came = _checksum(content)
        record = cls.from_plain(content)
        if check not in (None, came):
            raise ValueError(f"record: its checksum is {came}, {_short(check)} is wanted: it is damaged")
        return record


@cache
def _names() -> tuple[frozenset[str], frozenset[str]]:
    """Fields that every record has, and all."""
    known = fields(Record)
    needed = (f.name for f in known if f.default is MISSING and f.default_factory is MISSING)
    return frozenset(needed), frozenset(f.name for f in known)


def _checksum(content: dict[str, Any]) -> str:
    """Of a record's fields as JSON has them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _number(value: Any) -> Any:
    return math.nan if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_int(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _maps(holds: Callable[[Any], bool], usual: frozenset[type] = frozenset()) -> Callable[[Any], bool]:
    """Whether a value is an object whose values hold; those of the usual types do, which is seen at once."""

    def check(value: Any) -> bool:
        if not _is_object(value):
            return False
        return usual.issuperset(map(type, value.values())) or all(map(holds, value.values()))

    return check


_TEXT_ALONE = frozenset({str})


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and (_TEXT_ALONE.issuperset(map(type, value)) or all(map(_is_text, value)))


_TEXT = ("text", _is_text)
_TEXT_OR_NONE = ("text or nothing", lambda value: value is None or _is_text(value))
_NUMBERS = ("an object of numbers", _maps(_is_number, frozenset({int, float})))
_TEXTS = ("an object of texts", _maps(_is_text, _TEXT_ALONE))
_WANTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "digest": _TEXT,
    "cell": ("an object", _is_object),
    "kind": _TEXT,
    "status": ("'done' or 'failed'", lambda value: value in ("done", "failed")),
    "reason": _TEXT_OR_NONE,
    "side": ("'test' or 'validation'", lambda value: value in ("test", "validation")),
    "metrics": ("an object of objects", _maps(_is_object)),
    "facts": _NUMBERS,
    "costs": _NUMBERS,
    "warnings": ("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value))),
    "seconds": ("a number", _is_number),
    "peak_memory": ("a whole number", _is_int),
    "device": _TEXT,
    "versions": _TEXTS,
    "sources": _TEXTS,
    "commit": _TEXT_OR_NONE,
    "finished": _TEXT,
    "files": _TEXTS,
    "teacher_weights": _TEXT_OR_NONE,
    "failure": ("nothing, or one of " + ", ".join(FAILURES), lambda value: value in ("", *FAILURES)),
}
