"""Networks that see some channels of the windows: which, and what that changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kdbench.catalog.build import make_dataset, make_network, network_shapes
from kdbench.catalog.channels import named, outlook, seen
from kdbench.catalog.find import DATASETS, NETWORKS
from kdbench.costs.counting import counts, parameters
from kdbench.costs.timing import costs
from kdbench.data import Channel, Description
from kdbench.errors import KdbenchError
from kdbench.spec.cell import Part
from kdbench.spec.words import Spec

PLACES = [f"{place}_acc_{axis}" for place in ("thigh", "wrist") for axis in "xyz"]


def about(*names: str) -> Description:
    of = make_dataset(DATASETS.close(Spec("synthetic", {"length": 32}))).description
    return replace(of, name="worn", channels=tuple(Channel(name, "g") for name in names))


def part(channels: str) -> Part:
    return NETWORKS.close(Spec("mlp", {"hidden": 8, "channels": channels}))


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ("wrist", [3, 4, 5]),
        ("Wrist", [3, 4, 5]),
        ("wrist_acc", [3, 4, 5]),
        ("acc", [0, 1, 2, 3, 4, 5]),
        ("acc_z", [2, 5]),
        ("x", [0, 3]),
        ("thigh_acc_y", [1]),
        ("wrist+thigh_acc_y", [1, 3, 4, 5]),
        ("thigh_acc_y + wrist", [1, 3, 4, 5]),
        ("thigh+wrist", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_word_means_a_channel_or_all_that_have_it_in_their_names(asked: str, numbers: list[int]) -> None:
    assert list(seen(part(asked), PLACES)) == numbers


@pytest.mark.parametrize("names", [["acc-x", "gyro-x"], ["acc x", "gyro x"], ["Acc.X", "Gyro.X"]])
def test_parts_of_names_are_told_apart_by_any_sign(names: list[str]) -> None:
    assert seen(part("acc"), names) == (0,)
    assert seen(part(names[1]), names) == (1,)


@pytest.mark.parametrize("word", ["wirst", "wrist_x", "acc_wrist", "wrists", "", "wrist+"])
def test_a_word_that_means_no_channel_is_refused_with_what_is_near(word: str) -> None:
    with pytest.raises(KdbenchError) as refused:
        named(part(word), about(*PLACES))
    last = word.rpartition("+")[2]
    assert str(refused.value).startswith(f"worn: no {last!r} in channels of mlp")
    assert "known: acc, thigh, thigh_acc_x" in str(refused.value)
    assert "did you mean 'wrist'" in str(refused.value) or word not in ("wirst", "wrists")


def test_two_ways_to_say_the_same_are_one_network_and_all_is_none() -> None:
    parts = {
        named(part(asked), about(*PLACES)) for asked in ("wrist", "wrist_acc", "wrist_acc_y+wrist_acc_x+wrist_acc_z")
    }
    assert [dict(each.settings) for each in parts] == [{"hidden": 8, "channels": "+".join(PLACES[3:])}]
    whole = NETWORKS.close(Spec("mlp", {"hidden": 8}))
    assert {named(part(asked), about(*PLACES)) for asked in ("all", "acc", "thigh+wrist")} == {whole}
    assert outlook(whole, about(*PLACES)) == ""
    assert "channels" not in dict(whole.settings), "so that cells of before there was the setting keep their digests"


def test_a_channel_whose_name_cannot_be_said_is_refused() -> None:
    names = about("left+right_x", "left+right_y", "other")
    assert seen(named(part("left+right_x"), names), [c.name for c in names.channels]) == (0,)
    with pytest.raises(KdbenchError, match=r"channel 'left.right_x' has a . in its name"):
        named(NETWORKS.close(Spec("mlp", {"channels": "right"})), names)


@pytest.mark.parametrize("name", NETWORKS.names())
def test_every_network_sees_what_it_is_to_see_and_nothing_else(build, name: str) -> None:
    small = {key: value for key, value in {"width": 0.1, "hidden": 8}.items() if key in NETWORKS.schema(name)}
    asked = NETWORKS.close(Spec(name, {**small, "channels": "wrist"}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_network(NETWORKS.get(name), asked, about(*PLACES)).eval()
        torch.manual_seed(0)
        whole = NETWORKS.close(Spec(name, small))
        alone = make_network(NETWORKS.get(name), whole, about(*PLACES[3:])).eval()
    assert network.state_dict().keys() == alone.state_dict().keys()
    x = torch.randn(3, 6, 32, generator=torch.Generator().manual_seed(1))
    other = torch.cat([x[:, :3] + 1, x[:, 3:]], dim=1)
    with torch.no_grad():
        assert torch.equal(network(x).logits, alone(x[:, 3:]).logits)
        assert torch.equal(network(x).logits, network(other).logits)
    shapes = network_shapes(NETWORKS.get(name), asked, about(*PLACES))
    assert shapes == network_shapes(NETWORKS.get(name), whole, about(*PLACES[3:]))


def test_costs_are_those_of_the_channels_that_are_seen() -> None:
    with torch.random.fork_rng(devices=[]):
        network = make_network(NETWORKS.get("cnn"), NETWORKS.close(Spec("cnn", {"channels": "wrist"})), about(*PLACES))
        alone = make_network(NETWORKS.get("cnn"), NETWORKS.close(Spec("cnn")), about(*PLACES[3:]))
    assert counts(network, 6, 32) == counts(alone, 3, 32)
    assert parameters(network) == parameters(alone)
    assert costs(network, 6, 32, seconds=0) == costs(alone, 3, 32, seconds=0)
    assert network.sees == (3, 4, 5), "left as it was"
