"""Instance normalisation."""

import warnings

from rushlight.nn import functional as F
from rushlight.nn.modules.batchnorm import _NormBase

__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _InstanceNorm(_NormBase):
    _dims: int  # number of dims of one sample, its channels included

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False,
        device=None, dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def _check_input_dim(self, input):
        if input.dim() not in (self._dims, self._dims + 1):
            raise ValueError(
                f"{type(self).__name__}: expected {self._dims}D or {self._dims + 1}D input, got "
                f"shape {tuple(input.shape)}"
            )

    def _check_channels(self, input):
        dim = input.dim() - self._dims
        found = input.shape[dim]
        if found == self.num_features:
            return
        message = (
            f"{type(self).__name__}: input {tuple(input.shape)} has {found} channels in dim {dim}, "
            f"num_features is {self.num_features}"
        )
        if self.affine:
            raise ValueError(message)
        warnings.warn(f"{message}, which has no effect with affine=False", stacklevel=3)

    def forward(self, input):
        self._check_input_dim(input)
        self._check_channels(input)
        single = input.dim() == self._dims
        found = F.instance_norm(
            input.unsqueeze(0) if single else input, self.running_mean, self.running_var,
            self.weight, self.bias, self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return found.squeeze(0) if single else found

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        # Before version 2, running statistics were saved even if the layer did not use them.
        if local_metadata.get("version") is None and not self.track_running_stats:
            stray = [
                prefix + name
                for name in ("running_mean", "running_var")
                if prefix + name in state_dict
            ]
            if stray:
                error_msgs.append(
                    f"{type(self).__name__}: the state has running statistics ({', '.join(stray)}) "
                    "but track_running_stats is False; remove them, or track"
                )
                for key in stray:
                    state_dict.pop(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class InstanceNorm1d(_InstanceNorm):
    """y = (x − mean) / √(var + eps) · weight + bias, by each channel of each sample.

    With ``track_running_stats``, evaluation uses the running statistics as mean and var.

    Shape: x: (N, C, L) or (C, L) → the same.

    Raises:
        ValueError: x has another number of dims or, with ``affine``, of channels.

    Source: Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022

    >>> import rushlight as torch
    >>> torch.nn.InstanceNorm1d(1)(torch.tensor([[1.0, 3.0]])).round()
    tensor([[-1.,  1.]])
    """

    _dims = 2


class InstanceNorm2d(_InstanceNorm):
    """``InstanceNorm1d`` for images.

    Shape: x: (N, C, H, W) or (C, H, W) → the same.

    Raises:
        ValueError: x has another number of dims or, with ``affine``, of channels.

    >>> import rushlight as torch
    >>> torch.nn.InstanceNorm2d(3, affine=True)(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _dims = 3


class InstanceNorm3d(_InstanceNorm):
    """``InstanceNorm1d`` for volumes.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → the same.

    Raises:
        ValueError: x has another number of dims or, with ``affine``, of channels.

    >>> import rushlight as torch
    >>> torch.nn.InstanceNorm3d(3)(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _dims = 4
