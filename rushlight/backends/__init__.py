"""torch.backends: switches of libraries that PyTorch uses and rushlight does without."""

import contextlib

from rushlight.backends import (
    cpu,
    cuda,
    cudnn,
    mha,
    mkl,
    mkldnn,
    mps,
    nnpack,
    openmp,
    opt_einsum,
    quantized,
)

__all__ = [
    "cpu", "cuda", "cudnn", "mha", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum",
    "quantized",
]  # fmt: skip

fp32_precision = "none"


@contextlib.contextmanager
def __allow_nonbracketed_mutation():
    """Allow switches to be set by assignment, which rushlight always does."""
    yield
