"""Normalisation of each channel of each sample by itself.

Source: Ulyanov et al. 2016.
"""

from math import prod

from rushlight.autograd import mode
from rushlight.autograd.write import write
from rushlight.errors import ShapeError
from rushlight.ops.norm.batch_norm import batch_norm
from rushlight.ops.norm.layer_norm import group_norm

__all__ = ["instance_norm"]


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True,
    momentum=0.1, eps=1e-5,
):  # fmt: skip
    """Each channel of each sample with mean 0 and variance 1, scaled and shifted.

    Without ``use_input_stats`` by the running statistics, which it moves by ``momentum`` with.

    Shape: (N, C, …), all others (C) → (N, C, …).

    Raises:
        ValueError: one value a channel cannot be normalised.
        RuntimeError: sizes or dtypes do not fit; no running statistics where they are needed.

    >>> import rushlight as torch
    >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    shape = tuple(input.shape)
    if use_input_stats and prod(shape[2:]) == 1:
        raise ValueError(
            "instance_norm: Expected more than 1 spatial element when training, got input size "
            f"{shape}"
        )
    if len(shape) < 2:
        raise ShapeError(f"instance_norm: expected input of at least 2 dims, but got {shape}")
    input = input.contiguous()  # as the result is in PyTorch
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "instance_norm: Expected running_mean and running_var to be defined when "
                "use_input_stats is false"
            )
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is None and running_var is None:
        return group_norm(input, shape[1] or 1, weight, bias, eps)
    return _by_batch_norm(input, running_mean, running_var, weight, bias, momentum, eps)


def _by_batch_norm(input, running_mean, running_var, weight, bias, momentum, eps):
    """The channels of all samples side by side: each moves statistics of its own."""
    n, channels = input.shape[:2]
    side = (1, n * channels, *input.shape[2:])
    mean, var, weight, bias = (
        None if t is None else t.repeat(n) for t in (running_mean, running_var, weight, bias)
    )
    out = batch_norm(input.reshape(side), mean, var, weight, bias, True, momentum, eps)
    was = mode.set_grad(False)
    try:
        for running, moved in ((running_mean, mean), (running_var, var)):
            if moved is not None:
                write(running, moved.reshape(n, channels).mean(0), "instance_norm")
    finally:
        mode.set_grad(was)
    return out.reshape(input.shape)
