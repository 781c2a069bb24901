"""Instance normalisation: each channel of each sample is normalised on its own.

Source: Ulyanov et al. 2016.
"""

from math import prod

from rushlight.autograd import mode
from rushlight.autograd.write import write
from rushlight.errors import ShapeError
from rushlight.ops.norm.batch_norm import batch_normalized
from rushlight.ops.norm.layer_norm import group_norm

__all__ = ["instance_norm"]


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True,
    momentum=0.1, eps=1e-5,
):  # fmt: skip
    """Normalise each channel of each sample to mean 0 and variance 1, then scale and shift it.

    Args:
        input: Tensor ``(N, C, *)``.
        use_input_stats: Use the mean and variance of ``input``, and move given running statistics
            towards them, in place. False: use the running statistics. Default: True.

    Raises:
        ValueError: A channel of a sample has only one value.
        RuntimeError: Sizes or dtypes do not fit; running statistics are needed and missing.

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
    input = input.contiguous()  # so that the result is contiguous, as in PyTorch
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "instance_norm: Expected running_mean and running_var to be defined when "
                "use_input_stats is false"
            )
        return batch_normalized(
            input, running_mean, running_var, weight, bias, False, momentum, eps
        )
    if running_mean is None and running_var is None:
        if weight is not None and weight.requires_grad:
            weight = weight.clone()  # it may be written before backward, as in PyTorch
        return group_norm(input, shape[1] or 1, weight, bias, eps)
    return _by_batch_norm(input, running_mean, running_var, weight, bias, momentum, eps)


def _by_batch_norm(input, running_mean, running_var, weight, bias, momentum, eps):
    """Batch normalisation of N · C channels in one sample, for running statistics.

    Each of these channels gets its own copy of the running statistics. The copies are averaged
    over the samples afterwards.
    """
    n, channels = input.shape[:2]
    side = (1, n * channels, *input.shape[2:])
    mean, var, weight, bias = (
        None if t is None else t.repeat(n) for t in (running_mean, running_var, weight, bias)
    )
    out = batch_normalized(input.reshape(side), mean, var, weight, bias, True, momentum, eps)
    was = mode.set_grad(False)
    try:
        for running, moved in ((running_mean, mean), (running_var, var)):
            if moved is not None:
                write(running, moved.reshape(n, channels).mean(0), "instance_norm")
    finally:
        mode.set_grad(was)
    return out.reshape(input.shape)
