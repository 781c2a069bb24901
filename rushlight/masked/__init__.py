"""``torch.masked``: functions that leave out what a mask hides, and tensors that carry a mask.

>>> import rushlight as torch
>>> torch.masked.mean(torch.tensor([1.0, 2.0, 9.0]), mask=torch.tensor([True, True, False]))
tensor(1.5000)
"""

from rushlight.masked.along import cumprod, cumsum, log_softmax, normalize, softmax, softmin
from rushlight.masked.container import (
    MaskedTensor,
    as_masked_tensor,
    is_masked_tensor,
    masked_tensor,
)
from rushlight.masked.masks import dims as _canonical_dim  # noqa: F401
from rushlight.masked.masks import input_mask as _input_mask  # noqa: F401
from rushlight.masked.masks import output_mask as _output_mask  # noqa: F401
from rushlight.masked.reductions import (
    amax,
    amin,
    argmax,
    argmin,
    logaddexp,
    logsumexp,
    mean,
    median,
    norm,
    prod,
    std,
    sum,
    var,
)

__all__ = [
    "MaskedTensor", "amax", "amin", "argmax", "argmin", "as_masked_tensor", "cumprod", "cumsum",
    "is_masked_tensor", "log_softmax", "logaddexp", "logsumexp", "masked_tensor", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip
