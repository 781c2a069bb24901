"""Observers: what chooses the scale by which numbers become integers."""

import functools

import rushlight
from rushlight.nn import Module

__all__ = [
    "MinMaxObserver", "ObserverBase", "PerChannelMinMaxObserver", "PlaceholderObserver",
    "default_dynamic_quant_observer", "default_per_channel_weight_observer",
    "default_weight_observer",
]  # fmt: skip


def with_args(cls, **kwargs):
    """Return a function that makes an observer with these options.

    Args:
        cls: The class.
        **kwargs: Its options.

    Returns:
        A function with a method ``with_args``.
    """
    made = functools.partial(cls, **kwargs)
    vars(made)["with_args"] = lambda **more: with_args(cls, **kwargs, **more)
    return made


class ObserverBase(Module):
    """The base class of observers.

    Args:
        dtype: The dtype of the integers.
        is_dynamic: Whether the scale is chosen at each call.

    >>> import rushlight as torch
    >>> torch.ao.quantization.ObserverBase(torch.qint8).dtype
    torch.qint8
    """

    def __init__(self, dtype, is_dynamic=False):
        super().__init__()
        self.dtype, self.is_dynamic = dtype, is_dynamic

    @classmethod
    def with_args(cls, **kwargs):
        """Return a function that makes an observer with these options.

        Args:
            **kwargs: The options.

        Returns:
            A function.
        """
        return with_args(cls, **kwargs)


class PlaceholderObserver(ObserverBase):
    """An observer that only tells the dtype: scales are chosen at each call.

    Args:
        dtype: The dtype. Default: ``torch.float32``.
        quant_min, quant_max, custom_op_name, compute_dtype, qscheme, eps: Accepted without effect.
        is_dynamic: Whether the scale is chosen at each call.

    >>> import rushlight as torch
    >>> torch.ao.quantization.PlaceholderObserver(torch.float16).dtype
    torch.float16
    """

    qscheme = None

    def __init__(
        self, dtype=None, custom_op_name="", compute_dtype=None, quant_min=None, quant_max=None,
        qscheme=None, eps=None, is_dynamic=False,
    ):  # fmt: skip
        super().__init__(rushlight.float32 if dtype is None else dtype, is_dynamic)

    def forward(self, x):
        """Return ``x``."""
        return x

    def calculate_qparams(self):
        """Refuse: there is no scale.

        Raises:
            Exception: Always.
        """
        raise Exception("calculate_qparams should not be called for PlaceholderObserver")


class MinMaxObserver(ObserverBase):
    """Chooses the scale by the least and the greatest number that it saw.

    Args:
        dtype: ``torch.quint8`` or ``torch.qint8``.
        qscheme: ``torch.per_tensor_affine`` or ``torch.per_tensor_symmetric``.
        reduce_range: Use one bit less.
        quant_min, quant_max: The range of the integers. Default: that of ``dtype``.
        factory_kwargs: Accepted without effect.
        eps: The least scale. Default: that of float32.
        is_dynamic: Whether the scale is chosen at each call.

    >>> import rushlight as torch
    >>> observer = torch.ao.quantization.MinMaxObserver()
    >>> seen = observer(torch.tensor([-1.0, 2.0]))
    >>> observer.calculate_qparams()
    (tensor([0.0118]), tensor([85], dtype=torch.int32))
    """

    ch_axis: int | None = None
    _SCHEMES: tuple = ("per_tensor_affine", "per_tensor_symmetric")

    def __init__(
        self, dtype=rushlight.quint8, qscheme=None, reduce_range=False, quant_min=None,
        quant_max=None, factory_kwargs=None, eps=None, is_dynamic=False,
    ):  # fmt: skip
        super().__init__(dtype, is_dynamic)
        self.qscheme = rushlight.per_tensor_affine if qscheme is None else qscheme
        if self.qscheme.name not in self._SCHEMES:
            raise NotImplementedError(f"{type(self).__name__}: qscheme {self.qscheme}")
        if self.symmetric and reduce_range and dtype is rushlight.quint8:
            raise NotImplementedError("Cannot reduce range for symmetric quantization for quint8")
        if dtype not in (rushlight.qint8, rushlight.quint8):
            raise NotImplementedError(f"{type(self).__name__}: dtype {dtype}")
        low, high = (-128, 127) if dtype is rushlight.qint8 else (0, 255)
        if reduce_range and quant_min is None:
            low, high = low // 2, high // 2
        self.quant_min = low if quant_min is None else quant_min
        self.quant_max = high if quant_max is None else quant_max
        self.reduce_range = reduce_range
        self.eps = rushlight.finfo(rushlight.float32).eps if eps is None else float(eps)
        self.min_val, self.max_val = self._start()

    def _start(self):
        return rushlight.tensor(float("inf")), rushlight.tensor(float("-inf"))

    @property
    def symmetric(self):
        """Whether 0 stands in the middle of the integers."""
        return self.qscheme.name.endswith("symmetric")

    def _ends(self, x):
        return x.min(), x.max()

    def forward(self, x_orig):
        """Look at numbers.

        Args:
            x_orig: Tensor of any shape.

        Returns:
            ``x_orig``.
        """
        if not x_orig.numel():
            return x_orig
        low, high = self._ends(x_orig.detach().float())
        if self.min_val.shape == low.shape:
            low, high = rushlight.minimum(low, self.min_val), rushlight.maximum(high, self.max_val)
        self.min_val, self.max_val = low, high
        return x_orig

    def calculate_qparams(self):
        """Return the scale and the zero point.

        Returns:
            (scale, zero_point): tensors of one element, or of one for each channel.
        """
        low, high = self.min_val.clamp(max=0).reshape(-1), self.max_val.clamp(min=0).reshape(-1)
        steps = float(self.quant_max - self.quant_min)
        zero = rushlight.zeros(low.shape, dtype=rushlight.int64)
        if self.symmetric:
            scale = rushlight.maximum(-low, high) / (steps / 2)
            if self.dtype is rushlight.quint8:
                zero = zero + (self.quant_min + self.quant_max + 1) // 2
            return scale.clamp(min=self.eps), zero
        scale = ((high - low) / steps).clamp(min=self.eps)
        zero = self.quant_min - (low / scale).round().to(rushlight.int32)
        return scale, zero.clamp(self.quant_min, self.quant_max)

    def reset_min_max_vals(self):
        """Forget the numbers seen so far."""
        self.min_val, self.max_val = self._start()

    def extra_repr(self):
        """Return the ends, for ``print``."""
        return f"min_val={_plain(self.min_val)}, max_val={_plain(self.max_val)}"


def _plain(x):
    return x.item() if x.numel() == 1 and x.ndim == 0 else x


class PerChannelMinMaxObserver(MinMaxObserver):
    """Chooses a scale for each channel.

    Args:
        ch_axis: The dim of the channels.
        dtype, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic: As in
            ``MinMaxObserver``.
        qscheme: ``torch.per_channel_affine`` or ``torch.per_channel_symmetric``.

    >>> import rushlight as torch
    >>> observer = torch.ao.quantization.PerChannelMinMaxObserver()
    >>> seen = observer(torch.tensor([[-1.0, 2.0], [0.0, 1.0]]))
    >>> observer.calculate_qparams()[1]
    tensor([85,  0], dtype=torch.int32)
    """

    _SCHEMES = ("per_channel_affine", "per_channel_symmetric")

    def __init__(
        self, ch_axis=0, dtype=rushlight.quint8, qscheme=None, reduce_range=False, quant_min=None,
        quant_max=None, factory_kwargs=None, eps=None, is_dynamic=False,
    ):  # fmt: skip
        scheme = rushlight.per_channel_affine if qscheme is None else qscheme
        super().__init__(
            dtype, scheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic
        )
        self.ch_axis = ch_axis

    def _start(self):
        return rushlight.tensor([]), rushlight.tensor([])

    def _ends(self, x):
        rows = x.movedim(self.ch_axis, 0).reshape(x.shape[self.ch_axis], -1)
        return rows.amin(dim=1), rows.amax(dim=1)


default_dynamic_quant_observer = PlaceholderObserver.with_args(
    dtype=rushlight.quint8, quant_min=0, quant_max=255, is_dynamic=True
)
default_weight_observer = MinMaxObserver.with_args(
    dtype=rushlight.qint8, qscheme=rushlight.per_tensor_symmetric
)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(
    dtype=rushlight.qint8, qscheme=rushlight.per_channel_symmetric
)
