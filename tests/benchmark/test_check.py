"""`kdbench check` tells which rule of the contract a method breaks, where, and what was seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.catalog.find import NETWORKS
from kdbench.contract.numerics import PLACES, SIZES
from kdbench.contract.training import families

GOOD = '''
"""A method of somebody's own."""

from typing import Annotated

import torch
from torch import nn

from kdbench.architectures import Range
from kdbench.methods import Method, NotApplicable, ParameterGroup, at_least_float32, cross_entropy


class Mine(Method):
    """Match the teacher's logits through a layer.

    Formula: L = CE(z_S, y) + weight mean |A z_S - z_T|.

    Source: nobody's.

    Deviations: none.
    """

    kind = "logit"

    def __init__(self, setup, *, weight: Annotated[float, Range(0, 10, search=(0.1, 1))] = 0.5):
        super().__init__(setup)
        self.weight = weight
        self.layer = nn.Linear(setup.classes, setup.classes)

    def losses(self, batch, student, teacher):
        told = self.layer(at_least_float32(student.logits))
        distance = (told - at_least_float32(teacher.logits)).abs().mean()
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * distance}
'''
HARD = 'return {"hard": cross_entropy(student.logits, batch.y), '
MATCH = '"match": self.weight * distance}'
LOSSES = "    def losses(self, batch, student, teacher):\n"

EVERY_PAIR = "4 places (frozen cnn:cnn, frozen cnn:mlp, frozen mlp:cnn, frozen mlp:mlp)"
OTHERS = "hard places passed; few classes 2 of 2 passed; scale passed"  # what is judged beside pairs

BROKEN = {  # the rule, what is changed to break it, and what was seen
    "the method holds no network": (
        [("        self.layer =", "        from kdbench.catalog.find import NETWORKS\n"
          "        self.own = NETWORKS.get('mlp')(3, 32, 4, hidden=2)\n        self.layer =")],
        "own: of a network",
    ),
    "parameter groups hold every added parameter once": (
        [(LOSSES, "    def parameter_groups(self):\n"
          "        return [ParameterGroup([self.layer.weight] * 2)]\n\n" + LOSSES)],
        "layer.weight, layer.bias: not there once",
    ),
    "three steps end with finite losses": (
        [("self.weight * distance", "distance / (distance - distance).detach()")],
        "Diverged: loss 'match' is inf in epoch 1, batch 1",
    ),
    "the student moves": (
        [("cross_entropy(student.logits", "cross_entropy(self.layer(student.logits.detach())"),
         ("self.layer(at_least_float32(student.logits))", "self.layer(at_least_float32(student.logits.detach()))")],
        "its weights are those it began with",
    ),
    "a frozen teacher does not change by one bit": (
        [(LOSSES, "    def rounds(self, batch, nets):\n        if hasattr(nets.teacher, 'network'):\n"
          "            nets.teacher.network.head.bias.data += 1\n"
          "        return super().rounds(batch, nets)\n\n" + LOSSES)],
        "its weights or statistics changed",
    ),
    "a teacher that learns moves": (
        [('kind = "logit"', 'kind = "logit"\n    roles = ("peer",)'),
         ("at_least_float32(teacher.logits)", "at_least_float32(teacher.logits.detach())")],
        "its weights are those it began with",
    ),
    "every loss teaches something that learns": (
        [("self.weight * distance}", "self.weight * distance, 'nothing': 0 * distance}")],
        "'nothing' teaches nothing, its largest gradient is 0",
    ),
    "every added parameter is read by a loss": (
        [("        self.layer =", "        self.idle = nn.Linear(2, 3)\n        self.layer =")],
        "idle.weight, idle.bias: no loss depends on it",
    ),
    "the deployed model gives logits": (
        [(LOSSES, "    def deployed(self, student, teacher_head):\n        class Model(nn.Module):\n"
          "            def forward(self, x):\n                out = student(x)\n"
          "                out.logits = out.logits[:, :2]\n                return out\n\n"
          "        return Model()\n\n" + LOSSES)],
        "(3, 2) for three windows of 4 classes",
    ),
    "its state can be kept in a file": (
        [(LOSSES, "    def get_extra_state(self):\n        return {'range': range(3)}\n\n"
          "    def set_extra_state(self, state):\n        pass\n\n" + LOSSES)],
        "UnpicklingError: ",
    ),
    "the same seed gives the same bits": (
        [("class Mine", "DRAWN = iter(range(10**6))\n\n\nclass Mine"),
         ("self.layer = nn", "self.shift = next(DRAWN) / 100\n        self.layer = nn"),
         ("- at_least_float32(teacher", "+ self.shift - at_least_float32(teacher")],
        "other ",
    ),
    "a run saved and loaded in the middle goes on bit for bit": (
        [("self.layer = nn", "self.steps = 1.0\n        self.layer = nn"),
         ("        told", "        self.steps += 1\n        told"),
         ("self.weight * distance", "self.steps * distance")],
        "other ",
    ),
    "a missing teacher is an error": (
        [(LOSSES, "    def rounds(self, batch, nets):\n        student = nets.student(batch)\n"
          "        yield self.losses(batch, student, student)\n\n" + LOSSES)],
        "it trained without one, and ('frozen',) has no role 'absent'",
    ),
    "losses and gradients are finite in a hard place": (
        [("float32(student.logits))", "float32(student.logits)).exp()")],
        "'match' is inf (6 places: gap-10000 of unlike sizes, ",
    ),
    "losses are in float32 at least": (
        [(MATCH, '"match": self.weight * distance, "half": (student.logits - teacher.logits).square().mean()}')],
        "'half' is torch.bfloat16, wanted torch.float32 (4 places: bfloat16 of unlike sizes, ",
    ),
    "every loss teaches with few classes too": (
        [(MATCH, '"match": self.weight * distance, '
          '"sign": (z / (z.std(1, keepdim=True) + 1e-9)).pow(3).sum(1).mean()}'),
         ("        told", "        z = at_least_float32(student.logits)\n"
          "        z = z - z.mean(1, True)\n        told")],
        "'sign' teaches nothing with 2 classes: its gradient is below 0.0001 of that with 4 (unlike sizes, maps ",
    ),
    "a loss that is left out with few classes is told in a note": (
        [("        return {", "        if self.setup.classes < 3:\n"
          "            return {'hard': cross_entropy(student.logits, batch.y)}\n        return {"),
         ("self.layer(at_least_float32(student.logits))", "at_least_float32(student.logits)"),
         ("        self.layer = nn.Linear(setup.classes, setup.classes)\n", "")],
        "'match' is not there with 2 classes, and no note says so (unlike sizes, maps sizes, equal sizes, ",
    ),
    "what the student alone is not given is told in a note": (
        [(LOSSES, "    def rounds(self, batch, nets):\n        other = batch.with_inputs(batch.x + 1)\n"
          "        yield self.losses(batch, nets.student(other), nets.teacher(batch))\n\n" + LOSSES)],
        "it shows the networks augmented windows, and no note has the word 'augmented'",
    ),
    "a step costs the same whatever the number of training windows": (
        [("        told", "        torch.rand(len(self.setup.labels))\n        told")],
        "it reads and writes ",
    ),
    "every default is legal": ([("= 0.5", "= 50.0")], "mine: weight=50.0 is outside [0, 10]"),
    "every search range is legal": (
        [("search=(0.1, 1)", "search=(0.1, 11)")], "weight: (0.1, 11) is not within [0, 10]",
    ),
    "every preset is legal": (
        [('kind = "logit"', 'kind = "logit"\n    presets = {"much": {"weight": 11}, "other": {"height": 1}}')],
        "other: there is no setting 'height'",
    ),
    "roles are some of those that a teacher may have": (
        [('kind = "logit"', 'kind = "logit"\n    roles = ("frosen",)')], "('frosen',) of ('frozen',",
    ),
    "every setting has a default and a plain type": ([("Annotated[float, Range(0, 10, search=(0.1, 1))]", "list")],
        "Mine: weight needs a default and a type among str, int, float, bool"),
    "a pair is refused with a reason that a table can show": (
        [("        self.weight = weight", "        raise NotApplicable('no')\n        self.weight = weight")], "'no'",
    ),
    "the kind is a known one": (
        [('kind = "logit"', 'kind = "logits"')], "no 'logits' in kinds of methods (did you mean 'logit'?); known: ",
    ),
    "the version is a whole number from 1": ([('kind = "logit"', 'kind = "logit"\n    version = "2"')], "'2'"),
    "the docstring has the parts Formula, Source and Deviations": (
        [("    Source: nobody's.\n\n", ""), ("Deviations", "Changes")], "no Source and no Deviations",
    ),
    "what a method is given is not changed in place": (
        [("        told", "        teacher.logits.add_(1)\n        batch.x.zero_()\n        told")],
        "batch.x, teacher.logits: changed",
    ),
    "it can be made": ([("        self.weight = weight", "        self.weight = waight")], "NameError: name 'waight'"),
}  # fmt: skip


def changed(*changes: tuple[str, str]) -> str:
    source = GOOD
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes the method, with its source changed or not."""

    def write(*changes: tuple[str, str]) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(changed(*changes), encoding="utf-8")
        return path

    return write


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks stand for all, where it does not matter on how many a rule is broken."""
    monkeypatch.setattr(NETWORKS, "names", lambda: ["cnn", "mlp"])


def test_a_file_that_keeps_the_contract_passes_on_every_pair_of_families(
    call: Any, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdbench.contract.report.PAUSE", 1e9)
    ended = call("check", written())
    assert ended.code == 0, ended.out
    first, _, name, *rest = ended.out.splitlines()
    assert first.startswith("36 ordered pairs of ")
    assert all(each in first for each in families().values())
    assert name == "mine (logit)"
    assert rest == [
        "  any role: settings passed; description passed; a missing teacher passed",
        "  frozen: pairs 36 of 36 passed; hard places passed; few classes 2 of 2 passed; scale passed",
    ]
    assert ended.err == ""


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_named_with_the_place_and_what_was_seen(rule: str, call: Any, written: Any) -> None:
    changes, seen = BROKEN[rule]
    ended = call("check", written(*changes))
    assert ended.code == 1
    lines = ended.out.splitlines()
    failed = [line.removeprefix("  FAILED: ") for line in lines if line.startswith("  FAILED: ")]
    assert rule in failed
    below = lines[lines.index(f"  FAILED: {rule}") + 1 :]
    told = below[: next((i for i, line in enumerate(below) if "FAILED" in line), len(below))]
    assert told
    assert all(line.startswith("    ") for line in told)
    assert any(f": {seen}" in line for line in told), told


NO_LOSSES = {  # what is returned in place of losses, and what is said of it
    "self.weight": "float came",
    "distance": "Tensor came",
    "{}": "the dict is empty",
    '{"match": 0.5}': "'match' is of type float",
    '{"match": distance[None]}': "'match' has the shape (1,)",
    '{"match": distance.detach()}': "'match' does not require grad: ",
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("returned", NO_LOSSES)
def test_what_is_no_losses_is_said_to_be_none(returned: str, call: Any, written: Any) -> None:
    ended = call("check", written((HARD + MATCH, f"return {returned}")))
    assert ended.code == 1
    failed = [line for line in ended.out.splitlines() if line.startswith("  FAILED: ")]
    assert failed == ["  FAILED: losses are a dict of named scalar tensors that require grad"]
    assert f"    {EVERY_PAIR}: {NO_LOSSES[returned]}" in ended.out
    assert f"    frozen mine: {NO_LOSSES[returned]}" in ended.out


HOLDS = {  # a line that lets the method hold a network, where it stands, and what is said
    "at once": ("        self.layer =", "        self.all = [NETWORKS.get('mlp')(3, 32, 4, hidden=2)]", "all[0]"),
    "in training": (LOSSES, "    def rounds(self, batch, nets):\n        self.kept = {'nets': nets}\n"
                            "        return super().rounds(batch, nets)\n", "kept['nets']"),
    "one of both": (LOSSES, "    def rounds(self, batch, nets):\n        self.told = nets.teacher\n"
                            "        return super().rounds(batch, nets)\n", "told"),
    "when deployed": (LOSSES, "    def deployed(self, student, teacher_head):\n        self.final = (student,)\n"
                              "        return student\n", "final[0]"),
}  # fmt: skip


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("when", HOLDS)
def test_a_network_that_is_held_is_found_whenever_it_comes_and_told_once(when: str, call: Any, written: Any) -> None:
    before, line, name = HOLDS[when]
    imported = ("import torch\n", "import torch\nfrom kdbench.catalog.find import NETWORKS\n")
    ended = call("check", written(imported, (before, f"{line}\n{before}")))
    assert ended.code == 1
    failed = [line for line in ended.out.splitlines() if line.startswith("  FAILED: ")]
    assert failed == ["  FAILED: the method holds no network"]
    assert ended.out.count(f"    {EVERY_PAIR}: {name}: of a network") == 1


@pytest.mark.usefixtures("few")
def test_the_same_exception_in_many_hard_places_is_told_once_and_an_exit_is_one_too(call: Any, written: Any) -> None:
    ended = call("check", written(("        told", "        raise SystemExit('enough')\n        told")))
    assert ended.code == 1
    (told,) = [line for line in ended.out.splitlines() if "places: " in line]
    assert told.startswith("    frozen mine: SystemExit: enough (mine.py, line ")
    assert f" ({len(PLACES) * len(SIZES)} places: ordinary of unlike sizes, gap-100 of unlike sizes, " in told


@pytest.mark.usefixtures("few")
def test_what_is_seen_in_many_places_is_told_once_with_their_number_and_some_of_them(call: Any, written: Any) -> None:
    ended = call("check", written(*BROKEN["every added parameter is read by a loss"][0]))
    assert f"  frozen: pairs 0 of 4 passed; {OTHERS}" in ended.out.splitlines()
    told = [line for line in ended.out.splitlines() if line.endswith("idle.weight, idle.bias: no loss depends on it")]
    assert told == [f"    {EVERY_PAIR}: idle.weight, idle.bias: no loss depends on it"]


def test_of_many_places_six_are_named(call: Any, written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "names", lambda: ["cnn", "fcn", "mlp"])
    ended = call("check", written(*BROKEN["every added parameter is read by a loss"][0]), "--pairs", "all")
    (told,) = [line for line in ended.out.splitlines() if line.endswith("no loss depends on it")]
    assert told.startswith("    9 places (frozen cnn:cnn, frozen cnn:fcn, frozen cnn:mlp, frozen fcn:cnn, ")
    assert " and 3 more): idle.weight, idle.bias: " in told


@pytest.mark.usefixtures("few")
def test_what_is_seen_in_one_place_alone_is_told_with_it_alone(call: Any, written: Any) -> None:
    both = "        if setup.student.embedding == setup.taught_by.embedding == 8:\n"
    idle = "            self.idle = nn.Linear(2, 3)\n"
    ended = call("check", written(("        self.layer =", f"{both}{idle}        self.layer =")))
    assert "    frozen mlp:mlp: idle.weight, idle.bias: no loss depends on it" in ended.out.splitlines()


@pytest.mark.usefixtures("few")
def test_two_optimiser_steps_a_batch_are_told_in_a_note(call: Any, written: Any) -> None:
    again = "            yield from super().rounds(batch, nets)\n\n"
    twice = "    def rounds(self, batch, nets):\n        for _ in range(2):\n" + again
    ended = call("check", written((LOSSES, twice + LOSSES)))
    assert "  FAILED: what the student alone is not given is told in a note" in ended.out.splitlines()
    assert f"    {EVERY_PAIR}: it makes 2 optimiser steps a batch, and no note has the word 'steps'" in ended.out
    noted = "    def notes(self):\n        return ('two optimiser steps a batch',)\n\n"
    assert call("check", written((LOSSES, twice + noted + LOSSES))).code == 0


@pytest.mark.usefixtures("few")
def test_a_method_that_refuses_two_classes_is_judged_with_more_and_the_reason_is_told(call: Any, written: Any) -> None:
    refuses = "        if setup.classes == 2:\n            raise NotApplicable('two are too few for it')\n"
    sick = ("self.weight * distance", "self.weight * distance.exp().exp()")
    ended = call("check", written(("        self.weight = weight\n", refuses + "        self.weight = weight\n")))
    assert ended.code == 0, ended.out
    assert f"  frozen: pairs 4 of 4 passed; {OTHERS.replace('2 of 2 passed', '1 of 2 passed, 1 n/a')}" in ended.out
    assert "    n/a on 1: two are too few for it (mine of 2 classes)" in ended.out.splitlines()
    ended = call("check", written(("        self.weight = weight\n", refuses + "        self.weight = weight\n"), sick))
    assert "gap-100 of maps sizes" in ended.out, "a place with two classes hides no other"


@pytest.mark.usefixtures("few")
def test_pairs_that_a_method_refuses_are_counted_with_the_reason(call: Any, written: Any) -> None:
    refuses = (
        "        if setup.taught_by.stages[0][1] == 1:\n            raise NotApplicable('there is no time axis')\n"
    )
    ended = call("check", written(("        self.weight = weight\n", refuses + "        self.weight = weight\n")))
    assert ended.code == 0, ended.out
    assert f"  frozen: pairs 2 of 4 passed, 2 n/a; {OTHERS}" in ended.out.splitlines()
    assert "    n/a on 2: there is no time axis (mlp:cnn, mlp:mlp)" in ended.out.splitlines()


@pytest.mark.usefixtures("few")
def test_another_seed_is_another_draw_and_the_same_one_is_not(
    call: Any, written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(("        told", "        print(float(student.logits.detach().sum()))\n        told"))
    drawn = [call("check", path, "--seed", seed).out for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0].splitlines()[3:9] != drawn[2].splitlines()[3:9]


def test_all_pairs_are_every_ordered_pair(call: Any, written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "names", lambda: ["cnn", "fcn", "mlp"])
    ended = call("check", written(), "--pairs", "all")
    assert f"  frozen: pairs 9 of 9 passed; {OTHERS}" in ended.out.splitlines()


def test_a_method_is_checked_by_its_name_and_each_switch_is_turned(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "names", lambda: ["cnn", "deep_conv_lstm", "mlp"])
    ended = call("check", "student_aux")
    assert ended.code == 0, ended.out
    judged = "pairs 3 of 3 passed; switches 4 of 4 passed; hard places 5 of 5 passed; few classes 10 of 10 passed"
    assert f"  absent: {judged}; scale passed" in ended.out.splitlines()


def test_a_file_is_shown_as_a_method_is(call: Any, written: Any) -> None:
    path = written(('kind = "logit"', 'kind = "logit"\n    presets = {"half": {"weight": 0.5, "idle": True}}'),
                   ("weight: Annotated", "idle: bool = False, weight: Annotated"))  # fmt: skip
    out = call("show", path).out.splitlines()
    assert out[:3] == ["mine (method)", "", "Match the teacher's logits through a layer."]
    assert "preset half: weight=0.5, idle=true" in out
    assert [line.split() for line in out[-2:]] == [
        ["idle", "bool", "false", "not", "searched"],
        ["weight", "float", "0.5", "[0,", "10]", "search", "[0.1,", "1]"],
    ]


def test_what_is_shown_has_no_settings_and_is_found_whatever_its_case(call: Any) -> None:
    said = call("show", "kd(alpha=2)").error
    assert said == "'kd(alpha=2)' has settings; `kdbench show kd` shows which it takes"
    assert "(did you mean 'kd'?)" in call("show", "KD").error


def test_a_plug_in_is_checked_by_its_name(forks: Any, plug: Any) -> None:
    path = [
        plug("outside", changed(("self.weight * distance", "0 * distance")), "kdbench.methods: plugged = outside:Mine")
    ]
    ended = forks("check", "plugged", path=path)
    assert ended.code == 1
    assert "plugged (logit)" in ended.out
    assert "'match' teaches nothing" in ended.out


@pytest.mark.usefixtures("few")
def test_all_methods_are_checked_together_and_how_far_it_is_is_told(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdbench.catalog.find.METHODS.names", lambda: ["kd", "supervised"])
    monkeypatch.setattr("kdbench.contract.report.PAUSE", 0.0)
    ended = call("check", "all")
    assert ended.code == 0, ended.out
    assert ended.out.splitlines()[-1] == "2 of 2 methods keep the contract"
    assert all(" judged, about 0:" in line for line in ended.err.splitlines())
    assert ended.err.startswith("1 of ")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("kdd", None, "no 'kdd' in methods (did you mean 'kd'?); known: "),
        ("nowhere.py", None, "there is no file nowhere.py"),
        ("syntax.py", "nothing = 1\nclass Broken(:", "syntax.py:2: invalid syntax"),
        ("exit.py", "raise SystemExit(3)", "exit.py cannot be imported: SystemExit(3)"),
        ("KD", None, "no 'KD' in methods (did you mean 'kd'?); known: "),
        ("none.py", "nothing = 1", "none.py defines 0 public methods, wanted exactly one"),
        ("two.py", GOOD + "\n\nclass Other(Mine):\n    pass\n", "two.py defines 2 public methods, wanted exactly one"),
        ("kindless.py", changed(('    kind = "logit"\n', "")), "kindless.py lacks the class attribute 'kind'"),
    ],
)
def test_what_cannot_be_checked_is_said_in_one_line(
    name: str, source: str | None, message: str, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if source is not None:
        Path(name).write_text(source, encoding="utf-8")
    ended = call("check", name)
    assert ended.code == 2
    assert message in ended.error
    assert ended.out == ""
