"""Batch normalisation."""

import rushlight
from rushlight.autograd import mode
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"]


class _NormBase(Module):
    """Base of the normalisations: scale, shift and running statistics of the channels."""

    __constants__ = ["track_running_stats", "momentum", "eps", "num_features", "affine"]

    _version = 2  # version 2 added the buffer num_batches_tracked

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
        device=None, dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            value = Parameter(rushlight.empty(num_features, **place)) if wanted else None
            self.register_parameter(name, value)
        statistics = {"running_mean": None, "running_var": None, "num_batches_tracked": None}
        if track_running_stats:
            statistics = {
                "running_mean": rushlight.zeros(num_features, **place),
                "running_var": rushlight.ones(num_features, **place),
                "num_batches_tracked": rushlight.zeros((), dtype=rushlight.int64, device=device),
            }
        for name, value in statistics.items():
            self.register_buffer(name, value)
        self.reset_parameters()

    def reset_running_stats(self):
        """Reset the running statistics to mean 0, variance 1 and 0 batches."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Reset the running statistics, the learned scale (to 1) and the learned shift (to 0)."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input):
        raise NotImplementedError(f"{type(self).__name__} defines no _check_input_dim")

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if (local_metadata.get("version") or 1) < 2 and self.track_running_stats:
            count = self.num_batches_tracked
            count = rushlight.zeros((), dtype=rushlight.int64) if count is None else count
            state_dict.setdefault(prefix + "num_batches_tracked", count)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class _BatchNorm(_NormBase):
    def forward(self, input):
        self._check_input_dim(input)
        training, tracked = self.training, self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        if training and tracked and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain average over all batches
                count = self.num_batches_tracked
                momentum = 1.0 / (float(count) if mode.recorder() is None else count.double())
        mean, var = self.running_mean, self.running_var
        if training and not tracked:
            mean = var = None
        return F.batch_norm(
            input, mean, var, self.weight, self.bias,
            training or (mean is None and var is None), momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """y = (x − mean) / √(var + eps) · weight + bias, with mean and var of each channel.

    In training, mean and var are those of the batch, and they update the running statistics. In
    evaluation, mean and var are the running statistics, or those of the batch if there are no
    running statistics. With ``momentum=None``, the running statistics are the plain averages over
    all batches.

    Shape: x: (N, C) or (N, C, L) → the same.

    Raises:
        ValueError: x has another number of dims.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167

    >>> import rushlight as torch
    >>> torch.nn.BatchNorm1d(2).eval()(torch.zeros(1, 2)).tolist()
    [[0.0, 0.0]]
    """

    def _check_input_dim(self, input):
        if input.dim() not in (2, 3):
            shape = tuple(input.shape)
            raise ValueError(f"BatchNorm1d: expected 2D or 3D input, got shape {shape}")


class BatchNorm2d(_BatchNorm):
    """``BatchNorm1d`` for images.

    Shape: x: (N, C, H, W) → the same.

    Raises:
        ValueError: x has another number of dims.

    >>> import rushlight as torch
    >>> torch.nn.BatchNorm2d(3)(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    def _check_input_dim(self, input):
        if input.dim() != 4:
            raise ValueError(f"BatchNorm2d: expected 4D input, got shape {tuple(input.shape)}")


class BatchNorm3d(_BatchNorm):
    """``BatchNorm1d`` for volumes.

    Shape: x: (N, C, D, H, W) → the same.

    Raises:
        ValueError: x has another number of dims.

    >>> import rushlight as torch
    >>> torch.nn.BatchNorm3d(3)(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    def _check_input_dim(self, input):
        if input.dim() != 5:
            raise ValueError(f"BatchNorm3d: expected 5D input, got shape {tuple(input.shape)}")


class SyncBatchNorm(_BatchNorm):
    """``BatchNorm1d`` over the batches of all processes; rushlight has only one process.

    Shape: x: (N, C, …) → the same.

    Args:
        process_group: Accepted without effect, because there is only one process.

    Raises:
        ValueError: x has less than two dims.

    >>> import rushlight as torch
    >>> torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.BatchNorm1d(3, affine=False))
    SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=True)
    """

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
        process_group=None, device=None, dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input_dim(self, input):
        if input.dim() < 2:
            raise ValueError(
                f"SyncBatchNorm: expected at least 2D input, got shape {tuple(input.shape)}"
            )
        if not input.shape[1]:
            raise ValueError(f"SyncBatchNorm: input {tuple(input.shape)} has no channels")

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """Replace each batch normalisation in ``module`` by a SyncBatchNorm with the same tensors.

        Args:
            module: The Module to convert, in place.
            process_group: Accepted without effect, because there is only one process.

        Returns:
            ``module``, or the new SyncBatchNorm if ``module`` itself is a batch normalisation.

        >>> import rushlight as torch
        >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
        >>> type(torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)[0]).__name__
        'SyncBatchNorm'
        """
        made = module
        if isinstance(module, _BatchNorm):
            made = cls(
                module.num_features, module.eps, module.momentum, module.affine,
                module.track_running_stats, process_group, bias=module.bias is not None,
            )  # fmt: skip
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(made, name, getattr(module, name))
            made.training = module.training
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made
