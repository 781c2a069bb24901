"""``LinearCrossEntropyOptions``, in the module where PyTorch's pickles look for it."""

import re
from dataclasses import dataclass
from typing import Any

from rushlight.dtype import bfloat16, float16, float32, float64

__all__ = ["LinearCrossEntropyOptions"]


@dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """Options of ``linear_cross_entropy`` in parts, which have no effect: all rows are one part.

    Args:
        allow_retain_graph: Let ``backward`` run twice, which it may in any case.
        batch_chunk_size: Number of rows in a part.
        chunking_method: How this number is found: ``"auto"``, ``"aspect_ratio"``,
            ``"aspect_ratio:N"`` or None.
        acc_policy: What is summed in ``acc_dtype``: ``"accurate"``, ``"balanced"``, ``"compact"``
            or ``"auto"``.
        acc_dtype: The dtype of sums.

    Raises:
        ValueError: An option has an unknown value.

    >>> import rushlight as torch
    >>> torch.nn.LinearCrossEntropyOptions(batch_chunk_size=64).batch_chunk_size
    64
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self):
        rows, method = self.batch_chunk_size, self.chunking_method
        if rows is not None and (not isinstance(rows, int) or rows < 1):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {rows}")
        if method not in (None, "auto") and not re.fullmatch(r"aspect_ratio(:[1-9]\d*)?", method):
            raise ValueError(f"invalid chunking_method: {method!r}")
        if self.acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.acc_dtype not in (None, float16, bfloat16, float32, float64):
            raise ValueError(
                "acc_dtype must be None, torch.float16, torch.bfloat16, torch.float32 or "
                f"torch.float64, got {self.acc_dtype}"
            )
