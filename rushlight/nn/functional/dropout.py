"""Dropout with ``nn.functional``'s signatures and warnings."""

import warnings

from rushlight.autograd.write import check_write, write
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.promotion import as_number
from rushlight.ops.random import dropout as _dropout

__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
]  # fmt: skip


def _check(p):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _run(drop, input, p, training, inplace):
    p = as_number(p)
    _check(p)
    if not inplace:
        return drop(input, p, training)
    check_write(input, "dropout_")
    found = drop(input, p, training)
    return input if found is input else write(input, found, "dropout_")


@takes(strict=True, kinds={"training": "bool", "p": "any"})
def dropout(input, p=0.5, training=True, inplace=False):
    """Set each element to 0 with probability ``p``, and scale the others by 1 / (1 - p).

    Raises:
        ValueError: ``p`` is outside [0, 1].

    Source: Srivastava et al. 2014.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout(torch.ones(2), 0.5, training=False)
    tensor([1., 1.])
    """
    _check(p)
    return (_dropout.dropout_ if inplace else _dropout.dropout)(input, p, training)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Set each channel to 0 with probability ``p``, and scale the others by 1 / (1 - p).

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: ``p`` is outside [0, 1].
        RuntimeError: ``input`` has neither 2 nor 3 dims.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout1d(torch.ones(1, 2, 3), training=False).shape
    torch.Size([1, 2, 3])
    """
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input: "
            f"{tuple(input.shape)}"
        )
    return _batched(input, 3, p, training, inplace)


def _batched(input, dims, p, training, inplace):
    """Drop channels of ``input``, which lacks a batch dim if it does not have ``dims`` dims."""
    if input.ndim == dims:
        return _run(_dropout.feature_dropout, input, p, training, inplace)
    found = _run(_dropout.feature_dropout, input.unsqueeze(0), p, training, inplace)
    return input if inplace else found.squeeze(0)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Set each channel to 0 with probability ``p``, and scale the others by 1 / (1 - p).

    Args:
        input: Tensor ``(N, C, H, W)``. Three dims are taken as ``(N, C, L)``, with a warning.

    Raises:
        ValueError: ``p`` is outside [0, 1].

    Source: Tompson et al. 2014.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout2d(torch.ones(1, 2, 3, 3), training=False).shape
    torch.Size([1, 2, 3, 3])
    """
    if input.ndim not in (3, 4):
        _unusual("dropout2d", input, "3D or 4D")
    elif input.ndim == 3:
        warnings.warn(
            "dropout2d: the 3D input is taken as (N, C, L), which will change; use dropout1d",
            stacklevel=2,
        )
    return _run(_dropout.feature_dropout, input, p, training, inplace)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Set each channel to 0 with probability ``p``, and scale the others by 1 / (1 - p).

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Raises:
        ValueError: ``p`` is outside [0, 1].

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout3d(torch.ones(1, 2, 3, 3, 3), training=False).shape
    torch.Size([1, 2, 3, 3, 3])
    """
    if input.ndim not in (4, 5):
        _unusual("dropout3d", input, "4D or 5D")
    return _batched(input, 5, p, training, inplace)


def _unusual(name, input, expected):
    # The text names no shape, so that Python shows the warning once for all shapes.
    warnings.warn(
        f"{name}: Received a {input.ndim}-D input to {name}, which is deprecated and will result "
        f"in an error; {expected} is expected; use dropout",
        stacklevel=3,
    )


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Drop elements so that the mean and the variance of ``selu``'s results stay the same.

    A dropped element becomes ``selu``'s lower limit. Then all elements are scaled and shifted.

    Raises:
        ValueError: ``p`` is outside [0, 1].

    Source: Klambauer et al. 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.alpha_dropout(torch.ones(2))
    tensor([1., 1.])
    """
    return _run(_dropout.alpha_dropout, input, p, training, inplace)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Apply ``alpha_dropout`` to whole channels.

    Args:
        input: Tensor ``(N, C, *)``, floating point.

    Raises:
        ValueError: ``p`` is outside [0, 1].

    >>> import rushlight as torch
    >>> torch.nn.functional.feature_alpha_dropout(torch.ones(1, 2, 3)).shape
    torch.Size([1, 2, 3])
    """
    return _run(_dropout.feature_alpha_dropout, input, p, training, inplace)
