"""Invertible transformations with the determinants of their Jacobians."""

from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.transforms.base import _InverseTransform as _InverseTransform
from rushlight.distributions.transforms.composite import (
    CatTransform,
    ComposeTransform,
    StackTransform,
    identity_transform,
)
from rushlight.distributions.transforms.elementwise import (
    AbsTransform,
    AffineTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
)
from rushlight.distributions.transforms.elementwise import (
    clipped_sigmoid as _clipped_sigmoid,  # noqa: F401 - PyTorch's name
)
from rushlight.distributions.transforms.event import IndependentTransform, ReshapeTransform
from rushlight.distributions.transforms.matrix import (
    CorrCholeskyTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
)
from rushlight.distributions.transforms.simplex import SoftmaxTransform, StickBreakingTransform
from rushlight.docstrings import document

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform",
    "CumulativeDistributionTransform", "ExpTransform", "IndependentTransform",
    "LowerCholeskyTransform", "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform",
    "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform",
    "StickBreakingTransform", "TanhTransform", "Transform", "identity_transform",
]  # fmt: skip

for _name in __all__:
    document(globals()[_name], "transform")
