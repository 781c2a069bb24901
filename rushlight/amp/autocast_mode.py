"""``autocast``: regions in which operations choose their precision, and what sets them.

Each device type has a switch and a dtype of its own. Those of the CPU are the ones that act here.
"""

import functools
import warnings

from rushlight.device import device as device_of
from rushlight.dtype import bfloat16, float16, float64
from rushlight.ops.core.autocast import POLICIES, local, set_policy
from rushlight.tensor import Tensor

__all__ = [
    "autocast", "clear_autocast_cache", "custom_bwd", "custom_fwd", "get_autocast_dtype",
    "is_autocast_available", "is_autocast_cache_enabled", "is_autocast_enabled",
    "set_autocast_cache_enabled", "set_autocast_dtype", "set_autocast_enabled",
]  # fmt: skip

_DEVICES = ("cpu", "cuda", "hpu", "ipu", "maia", "mps", "mtia", "privateuseone", "xla", "xpu")


# The state of this thread -----------------------------------------------------------------


def _checked(device_type):
    kind = device_of(device_type).type
    if kind not in _DEVICES:
        raise RuntimeError(f"autocast: there is none for the device type '{kind}'")
    return kind


def is_autocast_available(device_type):
    """Whether autocast knows the device type.

    Raises:
        RuntimeError: there is no such device type.

    >>> import rushlight as torch
    >>> torch.amp.is_autocast_available("cpu")
    True
    """
    return device_of(device_type).type in _DEVICES


def is_autocast_enabled(device_type="cuda"):
    """Whether this is an autocast region for the device type.

    >>> import rushlight as torch
    >>> with torch.autocast("cpu"):
    ...     torch.is_autocast_enabled("cpu")
    True
    """
    return local.enabled.get(_checked(device_type), False)


def set_autocast_enabled(device_type, enabled):
    """Turn autocast on or off for the device type, in this thread.

    >>> import rushlight as torch
    >>> torch.set_autocast_enabled("cpu", False)
    """
    device_type = _checked(device_type)
    local.enabled[device_type] = bool(enabled)
    _follow(device_type)


def get_autocast_dtype(device_type):
    """The lower precision of the device type: of the CPU, bfloat16 unless set.

    >>> import rushlight as torch
    >>> torch.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return local.dtypes.get(_checked(device_type), float16)


def set_autocast_dtype(device_type, dtype):
    """Set the lower precision of the device type, in this thread.

    >>> import rushlight as torch
    >>> torch.set_autocast_dtype("cpu", torch.bfloat16)
    """
    device_type = _checked(device_type)
    local.dtypes[device_type] = dtype
    _follow(device_type)


def _follow(device_type):
    """Have operations do as the state of the CPU says."""
    if device_type == "cpu":
        set_policy(POLICIES.get(local.dtypes["cpu"]) if local.enabled.get("cpu") else None)


def is_autocast_cache_enabled():
    """Whether weights stay cast until the outermost region ends.

    >>> import rushlight as torch
    >>> torch.is_autocast_cache_enabled()
    True
    """
    return local.cache_enabled


def set_autocast_cache_enabled(enabled):
    """Set whether weights stay cast until the outermost region ends.

    >>> import rushlight as torch
    >>> torch.set_autocast_cache_enabled(True)
    """
    local.cache_enabled = bool(enabled)


def clear_autocast_cache():
    """Forget the weights that were cast.

    >>> import rushlight as torch
    >>> torch.clear_autocast_cache()
    """
    local.cache.clear()


# Regions ----------------------------------------------------------------------------------


class autocast:
    """Context and decorator in which operations choose their precision.

    Products are computed in ``dtype``; losses and others that need it in float32. Parameters and
    inputs stay float32, and so do gradients. Regions nest; one with ``enabled=False`` switches
    it off inside another.

    Args:
        device_type: ``"cpu"``. For another device, which is not there, it warns and does nothing.
        dtype: bfloat16 or float16; None for what ``get_autocast_dtype`` says.
        enabled: Whether it does anything.
        cache_enabled: Whether weights stay cast until the outermost region ends.

    Raises:
        ValueError: ``device_type`` is no str.
        RuntimeError: there is no such device type.

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
        self._outside: list = []  # the states that it was entered from
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
        except BaseException:  # an interrupt: nobody will leave the region
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
        _follow(self.device)

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with type(self).__new__(type(self))._like(self):
                return function(*args, **kwargs)

        return wrapped

    def _like(self, other):
        """This new region as ``other``: each call of a decorated function has one of its own."""
        vars(self).update(vars(other), _outside=[])
        return self


def _unavailable(device_type, dtype):
    """Why autocast does nothing there; None where it does."""
    if device_type == "cuda":
        return "autocast: CUDA is not available; disabled"
    if device_type == "cpu" and dtype not in (bfloat16, float16):
        return f"autocast: on the CPU to bfloat16 and float16 only, not to {dtype}; disabled"
    return None


# Custom functions -------------------------------------------------------------------------


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorate ``forward`` of an ``autograd.Function``: it runs as the region around it says.

    Args:
        device_type: Whose regions count.
        cast_inputs: In a region, cast floating inputs to this, and run without autocast.

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

    It runs with autocast as the forward ran.

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
    """Floating tensors in tuples, lists and dicts in ``dtype``, but for those of float64."""
    if isinstance(value, Tensor):
        return (
            value.to(dtype) if value.is_floating_point() and value.dtype is not float64 else value
        )
    if isinstance(value, dict):
        return {k: _cast(v, dtype) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)([_cast(v, dtype) for v in value])
    return value
