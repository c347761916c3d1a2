"""What every method keeps, whoever wrote it: judged by the tests and by ``kdbench check`` alike."""

from kdbench.contract.bench import Bench, Candidate
from kdbench.contract.degenerate import COUNTS, judge_few_classes
from kdbench.contract.numerics import judge_hard_places
from kdbench.contract.rules import Verdict, Violation, judge_description, judge_missing_teacher, judge_settings
from kdbench.contract.scale import judge_scale
from kdbench.contract.training import Case, all_pairs, for_role, judge, judge_variant, representative_pairs, variants

__all__ = [
    "COUNTS",
    "Bench",
    "Candidate",
    "Case",
    "Verdict",
    "Violation",
    "all_pairs",
    "for_role",
    "judge",
    "judge_description",
    "judge_few_classes",
    "judge_hard_places",
    "judge_missing_teacher",
    "judge_scale",
    "judge_settings",
    "judge_variant",
    "representative_pairs",
    "variants",
]
