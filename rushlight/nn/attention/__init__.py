"""torch.nn.attention: the choice of attention kernels, causal biases, and flexible attention."""

import contextlib
import enum
import importlib
from typing import Any

from rushlight.ops.sequence import attention

__all__ = [
    "WARN_FOR_UNFUSED_KERNELS", "SDPBackend", "current_flash_attention_impl",
    "list_flash_attention_impls", "restore_flash_attention_impl", "sdpa_kernel",
]  # fmt: skip

#: PyTorch warns on a GPU if a causal bias finds no fused kernel. It has no effect here.
WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.Enum):
    """PyTorch's kernels of scaled dot-product attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self):
        return self.value


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Context and decorator that lists the attention kernels a program accepts.

    There is one way to compute attention here, so the list never changes a result. A call raises
    an error where PyTorch on the CPU has none of the listed kernels: it has MATH for all calls,
    and FLASH_ATTENTION for 4-dim inputs without dropout. Like PyTorch's, the list holds for all
    threads.

    Args:
        backends: A ``SDPBackend``, or a list of them.
        set_priority: Accepted without effect. PyTorch then prefers the backends in their order.

    Returns:
        Context manager, which is a decorator, too.

    Raises:
        AssertionError: ``backends`` is neither a SDPBackend nor a list.
        RuntimeError: Inside the context, attention of a kind that PyTorch's CPU has no listed
            kernel for.

    >>> import rushlight as torch
    >>> from rushlight.nn.attention import SDPBackend, sdpa_kernel
    >>> with sdpa_kernel(SDPBackend.MATH):
    ...     q = torch.ones(1, 2, 3)
    ...     torch.nn.functional.scaled_dot_product_attention(q, q, q).shape
    torch.Size([1, 2, 3])
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    listed = [backends] if isinstance(backends, SDPBackend) else backends
    if SDPBackend.MATH in listed:
        check = None
    elif SDPBackend.FLASH_ATTENTION in listed:
        check = _only_flash
    else:
        check = _nothing
    before = attention.exchange_check(check)
    try:
        yield {}
    finally:
        attention.exchange_check(before)


def _nothing(query, *_):
    """Refuse attention, because no kernel is listed that PyTorch has on the CPU."""
    if _on_cpu(query):
        raise RuntimeError("No viable backend for scaled_dot_product_attention was found.")


def _only_flash(query, key, value, mask, dropout_p, enable_gqa):
    """Refuse what PyTorch's flash attention on the CPU cannot compute."""
    if _on_cpu(query) and not (
        dropout_p == 0
        and query.ndim == key.ndim == value.ndim == 4
        and query.shape[-1] == key.shape[-1] == value.shape[-1]
        and query.shape[0] == key.shape[0] == value.shape[0]
        and _heads_fit(query.shape[1], key.shape[1], value.shape[1], enable_gqa)
        and key.shape[-2] > 0
        and all(t.stride(-1) == 1 for t in (query, key, value))
        and (mask is None or _mask_fits(query, key, mask))
    ):
        raise RuntimeError("No available kernel. Aborting execution.")


def _on_cpu(query):
    """Whether PyTorch would look for a kernel of the CPU; it computes nothing without elements."""
    return query.device.type == "cpu" and query.numel() > 0


def _heads_fit(query, key, value, enable_gqa):
    if enable_gqa:
        return key > 0 and key == value and query % key == 0
    return query == key == value


def _mask_fits(query, key, mask):
    """Whether PyTorch's flash attention accepts the mask: a constant of 2 dims, or of 4."""
    whole = (*query.shape[:3], key.shape[2])
    if mask.requires_grad or mask.ndim not in (2, 4):
        return False
    return all(n in (1, m) for n, m in zip(mask.shape, whole[-mask.ndim :], strict=True))


# These modules are imported at first use.
_LAZY = ("bias", "flex_attention")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"rushlight.nn.attention.{name}")
    raise AttributeError(f"module 'rushlight.nn.attention' has no attribute {name!r}")


def list_flash_attention_impls():
    """Return the names of PyTorch's kernels of flash attention that may be chosen: none.

    Returns:
        An empty list.

    >>> import rushlight as torch
    >>> torch.nn.attention.list_flash_attention_impls()
    []
    """
    return []


def current_flash_attention_impl():
    """Return the name of the kernel of flash attention that was chosen: none.

    Returns:
        None.

    >>> import rushlight as torch
    >>> torch.nn.attention.current_flash_attention_impl() is None
    True
    """


def restore_flash_attention_impl():
    """Do nothing: no other kernel of flash attention can be chosen.

    >>> import rushlight as torch
    >>> torch.nn.attention.restore_flash_attention_impl()
    """
