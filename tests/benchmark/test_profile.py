"""`kdbench profile`, the costs in records, the cost table, and the lists of pairs."""

from __future__ import annotations

import csv
import io
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kdbench.catalog.find import NETWORKS
from kdbench.commands.profile import window_size
from kdbench.costs.counting import counts, file_size, parameters
from kdbench.costs.timing import FEWEST, LEAST, costs, durations
from kdbench.spec.pairs import pair_lists, parse_pairs
from kdbench.spec.words import Spec
from kdbench.store.records import Store

UCI = (9, 128, 6)
COUNTED = ("parameters", "multiply_adds", "elementwise", "activation_memory", "file_size")
TIMED = ("latency_ms", "latency_p95_ms", "throughput")


def build(spec: Spec, size: tuple[int, int, int] = UCI) -> nn.Module:
    return NETWORKS.get(spec.name)(*size, **dict(NETWORKS.close(spec).settings))


def rows(text: str) -> dict[str, dict[str, str]]:
    return {row["network"]: row for row in csv.DictReader(io.StringIO(text))}


def test_every_network_is_profiled_where_none_is_named(call: Callable[..., Any]) -> None:
    ended = call("profile", "--no-latency")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("windows of 9 x 128, 6 classes\n\nnetwork ")
    assert [line.split()[0] for line in ended.out.splitlines()[3:]] == NETWORKS.names()


def test_what_is_shown_is_what_is_counted(call: Callable[..., Any]) -> None:
    ended = call("profile", "mlp(hidden=8)", "--window", "3x50", "--classes", 4, "--no-latency", "--format", "csv")
    network = build(Spec("mlp", {"hidden": 8}), (3, 50, 4))
    found = rows(ended.out)["mlp(hidden=8)"]
    counted = counts(network, 3, 50)
    assert {key: float(value) for key, value in found.items() if key != "network"} == {
        "parameters": parameters(network),
        "multiply_adds": counted.multiply_adds,
        "elementwise": sum(counted.elementwise.values()),
        "activation_memory": counted.activation_memory,
        "file_size": file_size(network),
    }


def test_a_pair_is_followed_by_how_many_times_less_its_student_costs(call: Callable[..., Any]) -> None:
    pair = "mlp(hidden=16):mlp(hidden=4)"
    found = rows(call("profile", pair, "--no-latency", "--format", "csv").out)
    assert list(found) == ["mlp(hidden=16)", "mlp(hidden=4)", "mlp(hidden=16) / mlp(hidden=4)"]
    teacher, student, less = found.values()
    for key in ("parameters", "multiply_adds", "activation_memory", "file_size"):
        assert float(less[key]) == float(teacher[key]) / float(student[key])
    shown = call("profile", pair, "--no-latency", "--format", "markdown").out
    assert shown.splitlines()[-1].startswith("| mlp(hidden=16) / mlp(hidden=4) |")
    assert f"{float(less['parameters']):.3g}×" in shown


def test_a_list_of_pairs_is_profiled_by_its_name(call: Callable[..., Any]) -> None:
    shown = call("profile", "headline", "--no-latency").out
    assert [line.split("  ")[0] for line in shown.splitlines()[3:]] == ["resnet_lstman", "mlp", "resnet_lstman / mlp"]


def test_in_a_list_of_pairs_each_network_stands_once_and_each_row_has_a_name_of_its_own(
    call: Callable[..., Any],
) -> None:
    pairs = ["mlp(hidden=16):mlp(hidden=4)", "mlp(hidden=16):mlp(hidden=2)", "mlp(hidden=16)"]
    text = call("profile", *pairs, "--no-latency", "--format", "csv").out
    teacher, first, second = (f"mlp(hidden={hidden})" for hidden in (16, 4, 2))
    labels = [row["network"] for row in csv.DictReader(io.StringIO(text))]
    assert labels == [teacher, first, f"{teacher} / {first}", second, f"{teacher} / {second}"]


def test_the_work_is_shown_by_kind_of_layer(call: Callable[..., Any]) -> None:
    found = rows(call("profile", "cnn", "--layers", "--format", "csv").out)["cnn"]
    counted = counts(build(Spec("cnn")), 9, 128)
    assert {key: float(value) for key, value in found.items() if key != "network"} == {
        **counted.products,
        **counted.elementwise,
    }


def test_sizes_may_come_from_a_dataset_that_is_not_here(call: Callable[..., Any]) -> None:
    ended = call("profile", "mlp", "-d", "hapt", "--no-latency")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("windows of 6 x 128, 12 classes\n")


def test_latency_is_shown_with_what_it_depends_on(call: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "costs.txt"
    ended = call("profile", "mlp(hidden=8)", "-o", path)
    assert ended.out == f"wrote {path}\n"
    head, _, names, numbers = path.read_text().splitlines()
    assert "whatever else this machine does slows them" in head
    assert {"latency", "p95", "windows/s"} <= set(names.split())
    assert numbers.count(" ms") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mpl"], "no 'mpl' in networks and lists of pairs (did you mean 'mlp'?)"),
        (["cross_famly"], "no 'cross_famly' in networks and lists of pairs (did you mean 'cross_family'?)"),
        (["mlp(hidden=0)"], "mlp: hidden=0 is outside [1, 8192]"),
        (["mlp:mpl"], "no 'mpl' in architectures (did you mean 'mlp'?)"),
        (["mlp:"], "pair 'mlp:' has no student"),
        (["mlp("], "'mlp(' is not of the form"),
        (["mlp:mlp:mlp"], "is not of the form teacher:student"),
        (["mlp", "--window", "9"], "window '9' is not of the form CHANNELSxSAMPLES, as in 9x128"),
        (["mlp", "--window", "0x128"], "window '0x128' is not of the form"),
        (["mlp", "-d", "uci_hr"], "no 'uci_hr' in datasets (did you mean 'uci_har'?)"),
        (["mlp", "-d", "own"], "own: path is missing"),
        (["mlp", "--window", "٩x128"], "window '٩x128' is not of the form"),
        (["cnn", "--window", "9x3"], "cnn: a window of 3 samples"),
        (
            ["mlp", "--classes", "100000000000"],
            "mlp: too large for this machine's memory with 9 x 128 and 100000000000",
        ),
    ],
)
def test_what_cannot_be_profiled_is_named_in_one_line(
    options: list[str], message: str, call: Callable[..., Any]
) -> None:
    ended = call("profile", *options, "--no-latency")
    assert ended.code == 2
    assert message in ended.error
    assert ended.out == ""


def test_a_window_comes_from_a_dataset_or_from_options_and_not_from_both(call: Callable[..., Any]) -> None:
    ended = call("profile", "mlp", "-d", "uci_har", "--window", "9x128")
    assert ended.code == 2
    assert "give one or the other" in ended.err


@pytest.mark.parametrize("window", ["3x50", "3X50", "3×50", " 3 x 50 "])
def test_a_window_is_written_with_any_cross(window: str) -> None:
    assert window_size(window) == (3, 50)


def test_a_network_that_cannot_take_the_window_does_not_keep_others_from_being_shown(call: Callable[..., Any]) -> None:
    ended = call("profile", "--window", "2x3", "--no-latency")
    assert ended.code == 0
    assert "\ncnn: " in ended.out
    assert any(line.startswith("mlp ") and "kB" in line for line in ended.out.splitlines())


def test_costs_are_counted_and_timed_and_the_network_is_left_as_it_was() -> None:
    network = build(Spec("mlp", {"hidden": 8})).train()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert set(costs(network, 9, 128, seconds=0)) == set(COUNTED)
    found = costs(network, 9, 128, seconds=0.01)
    assert list(found) == [*COUNTED, *TIMED]
    assert 0 < found["latency_ms"] <= found["latency_p95_ms"]
    assert found["throughput"] > 0
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


class Counting(nn.Module):
    """Notes what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.calls: list[tuple[tuple[int, ...], int, bool, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append((tuple(x.shape), torch.get_num_threads(), self.training, torch.is_grad_enabled()))
        return self.weight * x


def test_times_are_of_one_thread_in_evaluation_after_one_pass_to_warm_up() -> None:
    network = Counting()
    taken = durations(network, 3, 5, batch=7, seconds=0)
    assert len(taken) == FEWEST
    assert network.calls == [((7, 3, 5), 1, False, False)] * (1 + FEWEST)
    assert len(durations(network, 3, 5, batch=1, seconds=0.05)) > FEWEST


class Sleeping(nn.Module):
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.weight, self.seconds = nn.Parameter(torch.ones(1)), seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return x


def test_slow_passes_are_timed_longer_for_a_percentile_but_not_for_ever() -> None:
    assert len(durations(Sleeping(0.01), 3, 5, batch=1, seconds=0.04, least=LEAST)) == LEAST
    assert FEWEST <= len(durations(Sleeping(0.01), 3, 5, batch=1, seconds=0.04)) < LEAST
    assert FEWEST <= len(durations(Sleeping(0.05), 3, 5, batch=1, seconds=0.04, least=LEAST)) < LEAST


def test_each_module_is_back_in_its_own_mode_after_timing() -> None:
    network = build(Spec("fcn", {"width": 0.02})).train()
    network.layers[0].eval()
    before = [module.training for module in network.modules()]
    costs(network, 9, 128, seconds=0.001)
    assert [module.training for module in network.modules()] == before
    assert len(set(before)) == 2


def test_a_record_holds_what_its_networks_cost(done: Path, cells: Any) -> None:
    for folder in cells(done):
        record = Store(done).record(folder.name)
        assert record is not None
        wanted = [*COUNTED, *TIMED, "method_parameters"]
        if record.cell["teacher"] is not None:
            wanted += [f"teacher_{key}" for key in (*COUNTED, *TIMED)]
        assert set(record.costs) == set(wanted)
        assert all(value > 0 for key, value in record.costs.items() if key not in ("method_parameters", "elementwise"))
        assert record.costs["file_size"] == pytest.approx((folder / "student.pt").stat().st_size, rel=0.01)


def test_the_cost_table_compares_every_row_with_the_teacher(call: Callable[..., Any], copy: Path, job: Any) -> None:
    shown = call("table", *job, "--costs")
    assert shown.code == 0, shown.err
    heads = [line.split("|")[1].strip(" *:-") for line in shown.out.splitlines() if line.startswith("|")]
    networks = ["network", "", "mlp(hidden=16)", "resnet_lstman(width=0.05)"]
    assert heads == [*networks, "method", "", "teacher alone", "student alone", "kd", "hmkd"]
    lines = {row["row"]: row for row in csv.DictReader(io.StringIO(call("table", "--costs", "--format", "csv").out))}
    assert list(lines) == ["teacher alone", "student alone", "kd", "hmkd"]
    teacher, student = lines["teacher alone"], lines["student alone"]
    assert teacher["parameters_ratio"] == ""
    for row in ("student alone", "kd", "hmkd"):  # what a method adds is gone when the student is deployed
        assert lines[row]["parameters"] == student["parameters"]
        assert float(lines[row]["multiply_adds_ratio"]) == float(teacher["multiply_adds"]) / float(
            student["multiply_adds"]
        )
    assert float(lines["kd"]["method_parameters"]) == 0 < float(lines["hmkd"]["method_parameters"])


def test_the_cost_table_shows_the_metrics_that_were_asked_for(call: Callable[..., Any], copy: Path, job: Any) -> None:
    asked = call("table", *job, "--costs", "--metric", "worst_person_f1", "--format", "csv")
    (first, *_) = csv.DictReader(io.StringIO(asked.out))
    assert 0 <= float(first["worst_person_f1"]) <= 1
    assert "macro_f1" not in first
    for form in ("csv", "markdown"):
        ended = call("table", *job, "--costs", "--metric", "macro_f2", "--format", form)
        assert (ended.code, ended.out) == (2, "")
        assert ended.error.startswith("no 'macro_f2' in metrics (did you mean 'macro_f1'?)")


def test_scores_are_drawn_against_work(
    call: Callable[..., Any], copy: Path, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    assert call("plot", *job, "--costs").out == "wrote costs.png\n"
    assert (copy.parent / "costs.png").read_bytes().startswith(b"\x89PNG")
    ended = call("plot", *job, "--costs", "--seeds", "7,8")
    assert (ended.code, ended.error) == (
        2,
        "a figure of costs wants a network alone with 'macro_f1' of every run, none came",
    )


def test_times_are_in_no_table_that_runs_are_compared_by(call: Callable[..., Any], copy: Path, job: Any) -> None:
    for form in ("csv", "csv-wide", "markdown"):
        assert "latency" not in call("table", *job, "--format", form).out


def test_lists_of_pairs_are_listed_and_shown(call: Callable[..., Any]) -> None:
    listed = call("list", "pairs").out.splitlines()
    assert [line.split()[0] for line in listed] == ["headline", "paper", "cross_family", "compression", "micro"]
    assert "resnet_lstman:fcn(width=0.25)" in call("show", "compression").out.splitlines()
    both = call("show", "paper").out
    assert "paper (matrix)" in both
    assert "paper (pairs)" in both


def test_a_list_of_pairs_stands_for_its_pairs_in_a_run(call: Callable[..., Any], sizes: Any) -> None:
    planned = call("plan", "-d", sizes[1], "-p", "headline", "-m", "kd").out
    assert "resnet_lstman:mlp  kd: 0 of 1 done" in planned


def test_a_pair_beside_a_list_that_has_it_stands_once() -> None:
    listed = pair_lists()["paper"].pairs
    assert set(map(str, parse_pairs(["paper", "fcn:mlp", "headline"]))) == set(map(str, listed))
    assert len(parse_pairs(["paper", "fcn:mlp", "headline"])) == len(listed)
    assert len(parse_pairs(["paper", "fcn(width=1.0):mlp"])) == len(listed) + 1  # pairs are compared as written


@pytest.mark.parametrize("name", pair_lists())
def test_a_shipped_list_of_pairs_is_of_known_networks_each_pair_once(name: str) -> None:
    assert name not in NETWORKS.names()
    pairs = [tuple(str(NETWORKS.short(spec)) for spec in pair) for pair in pair_lists()[name].pairs]
    assert len(pairs) == len(set(pairs)) > 0
    assert pair_lists()[name].description


def test_across_families_a_network_of_each_meets_one_of_every_other() -> None:
    pairs = [(teacher.name, student.name) for teacher, student in pair_lists()["cross_family"].pairs]
    families = {name: NETWORKS.get(name).family for pair in pairs for name in pair}
    assert sorted(families.values()) == ["attention", "conv", "hybrid", "mixer", "mlp", "recurrent"]
    assert set(pairs) == set(itertools.permutations(families, 2))


def test_compression_goes_from_a_million_parameters_to_five_thousand() -> None:
    pairs = pair_lists()["compression"].pairs
    assert {str(teacher) for teacher, _ in pairs} == {"resnet_lstman"}
    by_kind: dict[str, list[int]] = {}
    for _, student in pairs:
        by_kind.setdefault(student.name, []).append(parameters(build(student)))
    assert all(sizes == sorted(sizes, reverse=True) for sizes in by_kind.values())
    assert by_kind["mlp"] == [1_080_506, 181_382, 82_502, 19_094, 4_682]
    assert by_kind["fcn"] == [273_670, 71_302, 19_270, 5_542]
    assert by_kind["cnn"] == [193_218, 13_113]
    assert by_kind["lstm"] == [23_750, 6_758]
