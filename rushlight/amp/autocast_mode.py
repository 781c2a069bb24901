"""``autocast``: regions of a program in which operations choose their precision.

Each device type has its own switch and its own dtype, which count where tensors are on such a
device. The operations that choose a precision are those of PyTorch's list for the CPU.
"""

import functools
import warnings

from rushlight.device import DRIVEN
from rushlight.device import device as device_of
from rushlight.device_array import drivers
from rushlight.dtype import bfloat16, float16, float64
from rushlight.ops.core.autocast import local, policy_of, set_policy
from rushlight.tensor import Tensor

__all__ = [
    "autocast", "clear_autocast_cache", "custom_bwd", "custom_fwd", "get_autocast_dtype",
    "is_autocast_available", "is_autocast_cache_enabled", "is_autocast_enabled",
    "set_autocast_cache_enabled", "set_autocast_dtype", "set_autocast_enabled",
]  # fmt: skip

_DEVICES = (
    "cpu", "cuda", "hpu", "ipu", "maia", "mps", "mtia", "opencl", "privateuseone", "xla", "xpu",
)  # fmt: skip
_COMPUTE = ("cpu", *DRIVEN)  # types of devices that tensors can be on
_LOWER = (bfloat16, float16)


# The state of this thread -----------------------------------------------------------------


def _checked(device_type):
    kind = device_of(device_type).type
    if kind not in _DEVICES:
        raise RuntimeError(f"autocast: there is none for the device type '{kind}'")
    return kind


def is_autocast_available(device_type):
    """Return whether autocast knows the device type.

    Args:
        device_type: Name of a device type, such as ``"cpu"``.

    Returns:
        True or False.

    Raises:
        RuntimeError: No device type has this name.

    >>> import rushlight as torch
    >>> torch.amp.is_autocast_available("cpu")
    True
    """
    return device_of(device_type).type in _DEVICES


def is_autocast_enabled(device_type="cuda"):
    """Return whether autocast is on for the device type, in this thread.

    Args:
        device_type: Name of a device type. Default: ``"cuda"``.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> with torch.autocast("cpu"):
    ...     torch.is_autocast_enabled("cpu")
    True
    """
    return local.enabled.get(_checked(device_type), False)


def set_autocast_enabled(device_type="cuda", enabled=None):
    """Turn autocast on or off for the device type, in this thread.

    Args:
        device_type: Name of a device type, such as ``"cpu"``. In the older form, which has one
            argument, the bool itself: it is for ``"cuda"``.
        enabled: True for on, False for off.

    Raises:
        TypeError: ``enabled`` is missing, or is no bool.

    >>> import rushlight as torch
    >>> torch.set_autocast_enabled("cpu", False)
    """
    if enabled is None:
        device_type, enabled = "cuda", device_type
    if not isinstance(enabled, bool):
        raise TypeError(
            f"set_autocast_enabled(): argument 'enabled' must be bool, not {type(enabled).__name__}"
        )
    device_type = _checked(device_type)
    local.enabled[device_type] = enabled
    _follow()


def get_autocast_dtype(device_type):
    """Return the lower precision that autocast uses on the device type, in this thread.

    Args:
        device_type: Name of a device type, such as ``"cpu"``.

    Returns:
        A dtype; bfloat16 for the CPU unless another was set, float16 for other devices.

    >>> import rushlight as torch
    >>> torch.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return local.dtypes.get(_checked(device_type), float16)


def set_autocast_dtype(device_type, dtype):
    """Set the lower precision that autocast uses on the device type, in this thread.

    Args:
        device_type: Name of a device type, such as ``"cpu"``.
        dtype: A floating point dtype.

    >>> import rushlight as torch
    >>> torch.set_autocast_dtype("cpu", torch.bfloat16)
    """
    device_type = _checked(device_type)
    local.dtypes[device_type] = dtype
    _follow()


def _follow():
    """Apply a change of this thread's settings to operations."""
    dtypes = {k: get_autocast_dtype(k) for k, enabled in local.enabled.items() if enabled}
    set_policy(policy_of({k: d for k, d in dtypes.items() if k in _COMPUTE and d in _LOWER}))


def is_autocast_cache_enabled():
    """Return whether autocast keeps converted weights until the outermost region ends.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.is_autocast_cache_enabled()
    True
    """
    return local.cache_enabled


def set_autocast_cache_enabled(enabled):
    """Set whether autocast keeps converted weights until the outermost region ends.

    Args:
        enabled: True to keep them, False to convert each time.

    >>> import rushlight as torch
    >>> torch.set_autocast_cache_enabled(True)
    """
    local.cache_enabled = bool(enabled)


def clear_autocast_cache():
    """Drop the converted weights that autocast has kept.

    >>> import rushlight as torch
    >>> torch.clear_autocast_cache()
    """
    local.cache.clear()


# Regions ----------------------------------------------------------------------------------


class autocast:
    """Context and decorator in which operations choose their precision.

    Matrix products and convolutions are computed in ``dtype``. Operations that need more precision,
    such as losses, are computed in float32. Parameters, inputs and gradients stay float32. Regions
    nest: a region with ``enabled=False`` switches autocast off inside another region.

    Args:
        device_type: The type of the tensors' device. If there is no such device, ``"cuda"`` warns
            and has no effect.
        dtype: bfloat16 or float16. None means the dtype that ``get_autocast_dtype`` returns.
        enabled: Whether autocast is on in the region.
        cache_enabled: Whether converted weights are kept until the outermost region ends.

    Raises:
        ValueError: ``device_type`` is no str.
        RuntimeError: No device type has this name.

    Source: Micikevicius et al., Mixed precision training, ICLR 2018.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     y = layer(torch.ones(1, 2))
    ...     loss = torch.nn.functional.mse_loss(y, torch.zeros(1, 3))
    >>> y.dtype, loss.dtype
    (torch.bfloat16, torch.float32)
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(
                f"autocast: device_type must be a str, such as 'cpu', not {type(device_type)}"
            )
        self.device = _checked(device_type)
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        self._enabled = bool(enabled)
        self._outside: list = []  # for each entry of the region, the state to restore at its exit
        self._cache_enabled = local.cache_enabled if cache_enabled is None else cache_enabled
        if not self._enabled:
            return
        reason = _unavailable(self.device, self.fast_dtype)
        if reason is not None:
            warnings.warn(reason, stacklevel=2)
            self._enabled = False

    def __enter__(self):
        kind = self.device
        enabled, dtype = is_autocast_enabled(kind), get_autocast_dtype(kind)
        outside = enabled, dtype, local.cache_enabled, local.nesting
        try:
            self._outside.append(outside)
            self._set(self._enabled, self.fast_dtype, self._cache_enabled, local.nesting + 1)
            return self
        except BaseException:  # after an interrupt here __exit__ will not run
            self._set(*outside)
            self._outside = [o for o in self._outside if o is not outside]
            raise

    def __exit__(self, *exc):
        self._set(*self._outside.pop())
        if not local.nesting:
            local.cache.clear()
        return False

    def _set(self, enabled, dtype, cache_enabled, nesting):
        local.nesting = nesting
        local.enabled[self.device], local.dtypes[self.device] = enabled, dtype
        local.cache_enabled = cache_enabled
        _follow()

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with type(self).__new__(type(self))._like(self):
                return function(*args, **kwargs)

        return wrapped

    def _like(self, other):
        """Copy ``other`` into this new region: each call of a decorated function has its own."""
        vars(self).update(vars(other), _outside=[])
        return self


def _unavailable(device_type, dtype):
    """The reason why autocast has no effect for these arguments, or None if it has."""
    if device_type == "cuda" and not drivers("cuda"):
        return "CUDA is not available: Disabling autocast"
    if device_type in _COMPUTE and dtype not in _LOWER:
        return f"autocast: to bfloat16 and float16 only, not to {dtype}; disabled"
    return None


# Custom functions -------------------------------------------------------------------------


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorate ``forward`` of an ``autograd.Function``, so that it respects autocast regions.

    Args:
        fwd: The static method ``forward(ctx, *args)``. Default: the result is a decorator.
        device_type: The device type whose autocast regions count.
        cast_inputs: A dtype. Inside a region, floating point inputs are converted to this dtype,
            and ``forward`` runs without autocast. Default: ``forward`` runs with autocast.

    Returns:
        The decorated method, or a decorator.

    Raises:
        ValueError: ``device_type`` is no str.

    >>> import rushlight as torch
    >>> class Product(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    ...     def forward(ctx, x, y):
    ...         ctx.save_for_backward(x, y)
    ...         return x @ y
    ...
    ...     @staticmethod
    ...     @torch.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         x, y = ctx.saved_tensors
    ...         return g @ y.T, x.T @ g
    >>> with torch.autocast("cpu"):
    ...     Product.apply(torch.ones(1, 1), torch.ones(1, 1).bfloat16()).dtype
    torch.float32
    """
    _require_text(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(ctx, *args, **kwargs):
        enabled = is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = enabled and cast_inputs is None
        if not enabled or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_cast(args, cast_inputs), **_cast(kwargs, cast_inputs))

    return decorated


def custom_bwd(bwd=None, *, device_type):
    """Decorate ``backward`` of an ``autograd.Function`` whose forward has ``custom_fwd``.

    The backward runs with autocast if the forward ran with autocast, in the same dtype.

    Args:
        bwd: The static method ``backward(ctx, *grads)``. Default: the result is a decorator.
        device_type: The device type whose autocast regions count.

    Returns:
        The decorated method, or a decorator.

    Raises:
        ValueError: ``device_type`` is no str.

    >>> import rushlight as torch
    >>> decorate = torch.amp.custom_bwd(device_type="cpu")
    """
    _require_text(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(ctx, *args, **kwargs):
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return decorated


def _require_text(device_type):
    if not isinstance(device_type, str):
        raise ValueError(f"device_type must be a str, such as 'cpu', not {type(device_type)}")


def _cast(value, dtype):
    """Convert the floating point tensors in ``value`` to ``dtype``; float64 tensors are kept."""
    if isinstance(value, Tensor):
        return (
            value.to(dtype) if value.is_floating_point() and value.dtype is not float64 else value
        )
    if isinstance(value, dict):
        return {k: _cast(v, dtype) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)([_cast(v, dtype) for v in value])
    return value
