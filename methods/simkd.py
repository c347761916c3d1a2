"""The teacher's classifier, reused on the student's projected embedding."""

from __future__ import annotations

import copy
from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32
from kdbench.methods._modules import Bottleneck


class SimKD(Method):
    """Match the teacher's embedding alone, and deploy the student with the teacher's classifier.

    Formula: L = mean (P(v_S) - v_T)^2, P the projector; the deployed model says W P(v_S) + c, with W, c the teacher's
    classifier.

    Reads the teacher's embedding, and neither labels nor logits. The projector is trained with the student and stays:
    the deployed model is the student without its classifier, the projector and the teacher's classifier, and all three
    are counted. The student's own classifier is in no loss, so it never learns.

    Source: Chen et al., "Knowledge distillation with the reused teacher classifier", CVPR 2022,
    https://arxiv.org/abs/2203.14001. Default: reduction 2, as in https://github.com/DefangChen/SimKD.

    Args:
        setup: what the run tells the method.
        reduction: the projector's hidden width is the teacher's embedding over this.

    Deviations: embeddings are vectors, so the projector has no neighbours in space to mix; it ends in a bias where the
    source has BN and ReLU, since an embedding may be negative here.
    """

    kind = "feature"
    note = "deployed with a projector and the teacher's classifier"

    def __init__(self, setup: Setup, *, reduction: Annotated[int, Range(1, 64, search=(1, 8), log=True)] = 2) -> None:
        super().__init__(setup)
        width = setup.taught_by.embedding
        self.projector = Bottleneck(setup.student.embedding, max(1, width // reduction), width)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        projected = self.projector(at_least_float32(student.embedding))  # (B, D_T)
        return {"match": F.mse_loss(projected, at_least_float32(teacher.embedding))}

    def deployed(self, student: nn.Module, teacher_head: nn.Module | None) -> nn.Module:
        """A copy of the student that ends in the projector and the teacher's classifier."""
        if teacher_head is None:
            raise RuntimeError("the teacher's classifier is part of the deployed model, and there is none")
        return _Reused(student, self.projector, teacher_head)


class _Reused(nn.Module):
    def __init__(self, student: nn.Module, projector: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.student, self.projector, self.classifier = map(copy.deepcopy, (student, projector, classifier))
        self.student.head = nn.Identity()  # not deployed

    def forward(self, x: Tensor) -> Outputs:
        outputs: Outputs = self.student(x)
        embedding = self.projector(at_least_float32(outputs.embedding))
        return Outputs(self.classifier(embedding), outputs.stages, embedding)
