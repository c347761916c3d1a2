"""Deep mutual learning is our reconstruction of HMKD with all that is its own switched off."""

from __future__ import annotations

import pytest

PAIRS = [("resnet_lstman", "mlp"), ("mlp", "resnet_lstman"), ("mlp", "mlp"), ("resnet_lstman", "resnet_lstman")]
OUTPUTS_ALONE = {"use_mid": False, "aux_weight": 0.0, "temperature": 1.0, "ramp": 0}
SAME_TERMS = {"hard_student": "hard_student", "hard_teacher": "hard_teacher"}
SAME_TERMS |= {"match_student": "out_student", "match_teacher": "out_teacher"}


@pytest.mark.parametrize("role", ["peer", "tuned"])
@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_a_whole_training_equals_hmkd_of_output_layers_alone_bit_for_bit(
    bench, teacher: str, student: str, role: str
) -> None:
    ours = bench.run(bench.training("dml", teacher, student, role))
    theirs = bench.run(bench.training("hmkd", teacher, student, role, **OUTPUTS_ALONE))
    assert len(ours.curve) == len(theirs.curve) == 3
    for mine, yours in zip(ours.curve, theirs.curve, strict=True):
        assert len(mine) == len(yours) == 2 + len(SAME_TERMS)  # beside the epoch and the learning rate
        for name, other in SAME_TERMS.items():
            assert mine[f"loss_{name}"] == yours[f"loss_{other}"]
    state, other_state = ours.state(), theirs.state()
    for part in ("learners", "optimizer", "schedule"):
        assert bench.same(dict(state[part]), dict(other_state[part])), f"{part} differ"


def test_the_divergences_make_a_difference(bench) -> None:
    taught = bench.run(bench.training("dml", "mlp", "mlp", "peer"))
    alone = bench.run(bench.training("dml", "mlp", "mlp", "peer", weight=0.0))
    for side in ("student", "teacher"):
        networks = (getattr(training, side).network for training in (taught, alone))
        assert not bench.same(*(dict(network.state_dict()) for network in networks))
