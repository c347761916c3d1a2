"""Quantised graphs in which what only gives values another shape has one scale on both sides.

An observer stands at each place that is quantised, and a mean shares the one before it, so that the two sides of an
`unsqueeze` after a mean can have two scales. XNNPACK refuses such a reshape, and says so at run time alone. Values then
go through it as they are, and are quantised behind it.
"""

from __future__ import annotations

from torch.fx import GraphModule, Node

SHAPES = ("unsqueeze", "squeeze", "view", "reshape", "flatten", "permute", "transpose")
"""Operations that only give values another shape, as their names in a graph begin."""
QUANTISE, DEQUANTISE = "quantize_per_tensor", "dequantize_per_tensor"


def unscaled_before_shapes(model: GraphModule) -> GraphModule:
    """Take the quantisation away before each change of shape that has another one behind it; changed in place."""
    for node in model.graph.nodes:
        before = _scaled(node) if node.name.startswith(SHAPES) else None
        if before is None or all(_scale(user) in (None, _scale(before)) for user in node.users):
            continue
        node.replace_input_with(node.args[0], before.args[0])
    model.graph.eliminate_dead_code()
    model.recompile()
    return model


def _scaled(node: Node) -> Node | None:
    """What quantises the values that a node reads, if something does."""
    (source, *_) = node.args
    if not isinstance(source, Node) or not source.name.startswith(DEQUANTISE):
        return None
    (before, *_) = source.args
    return before if isinstance(before, Node) and before.name.startswith(QUANTISE) else None


def _scale(node: Node) -> tuple[object, ...] | None:
    """Scale and zero point of what quantises, None of any other node."""
    return tuple(node.args[1:3]) if node.name.startswith(QUANTISE) else None
