"""torch.nn.attention: PyTorch's choice of attention kernels; rushlight has only one kernel."""

import contextlib
import enum

__all__ = ["SDPBackend", "sdpa_kernel"]

SDPBackend = enum.Enum(
    "SDPBackend",
    {"ERROR": -1, "MATH": 0, "FLASH_ATTENTION": 1, "EFFICIENT_ATTENTION": 2, "CUDNN_ATTENTION": 3,
     "OVERRIDEABLE": 4},
)  # fmt: skip


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Context for PyTorch programs that choose attention kernels; it does not change results.

    Args:
        backends: A ``SDPBackend``, or a list of them.
        set_priority: Accepted without effect.

    Returns:
        Context manager.

    Raises:
        AssertionError: ``backends`` is neither a SDPBackend nor a list of SDPBackends.

    >>> import rushlight as torch
    >>> from rushlight.nn.attention import SDPBackend, sdpa_kernel
    >>> with sdpa_kernel(SDPBackend.MATH):
    ...     q = torch.ones(1, 2, 3)
    ...     torch.nn.functional.scaled_dot_product_attention(q, q, q).shape
    torch.Size([1, 2, 3])
    """
    given = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(given, list) or not all(isinstance(b, SDPBackend) for b in given):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances"
        )
    yield
