"""Random tensors: PyTorch's functions, drawing from the streams of ``rushlight.draw``.

New numbers come from one source operation, ``random``. It draws at each run, so a trace draws new
numbers, in the same order, whenever it is replayed. The in-place methods write its numbers into
their tensor. Operations whose probabilities come in tensors are kernels that draw. A trace that
only infers the shape of their result passes ``generator=None``, and nothing is drawn.
"""

from contextlib import nullcontext

import numpy as np

import rushlight.dtype as dtypes
from rushlight import draw, late, shapes
from rushlight.autograd import mode
from rushlight.docstrings import complete
from rushlight.draw import philox, philox_rejection
from rushlight.errors import UnsupportedDtypeError
from rushlight.handled import takes_handler
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel, source
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import zeros
from rushlight.ops.create.filled import dtype_of, finished, options
from rushlight.ops.tensor.cast import laid_out
from rushlight.ops.tensor.memory_format import preserve_format
from rushlight.random import Generator, PhiloxGenerator, default_generator, generator_type
from rushlight.remote import at, default_device, device_of
from rushlight.strides import fill, visit_order
from rushlight.tensor import Tensor

# The source -------------------------------------------------------------------------------


@source(public=False, name="random", draws=True)
def drawn_(xp, *, shape, dtype, distribution, parameters, generator, order=None):
    """Draw numbers of a distribution. ``order``: the dims' order in memory, None for C order."""
    out = empty(xp, shape, dtype, order)
    numbers = philox if isinstance(generator, PhiloxGenerator) else draw
    if distribution == "dropout":
        return numbers.dropout_noise(generator, out, *parameters)
    if distribution == "normal":
        parameters = (*(parameters or (0.0, 1.0)), order is None)
    return fill(out, getattr(numbers, distribution)(generator, out.size, dtype, *parameters))


def draws_of(generator):
    """The module that makes Poisson, binomial, gamma and Dirichlet numbers of ``generator``."""
    return philox_rejection if isinstance(generator, PhiloxGenerator) else draw


def checked_generator(generator, name):
    """``generator``, or the default generator for None."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{name}(): argument 'generator' must be torch.Generator, "
            f"not {type(generator).__name__}"
        )
    if mode.intercept or isinstance(generator, PhiloxGenerator):
        own = generator_type(default_device())
        if generator.device.type != own:
            raise RuntimeError(
                f"{name}: Expected a '{own}' device type for generator but found "
                f"'{generator.device.type}'"
            )
    return generator


def _new(name, size, distribution, parameters, named, dtype=None):
    """A new random tensor of the given size, for ``rand`` and similar functions."""
    generator = checked_generator(named.pop("generator", None), name)
    out, requires_grad = named.pop("out", None), named.pop("requires_grad", False)
    given = named.pop("dtype", None)
    d = given or dtype or dtype_of(out, name)
    d = options(d, named.pop("layout", None), named.pop("device", None), name)
    named.pop("pin_memory", None)
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
    shape = shapes.sizes(size, name)
    order = None
    if out is not None and out.shape == shape:  # its elements are drawn as they lie in memory
        order = memory_order(out._array)
    t = drawn_(
        shape=shape, dtype=d.numpy, distribution=distribution, parameters=parameters,
        generator=generator, order=order,
    )  # fmt: skip
    return finished(t, requires_grad, out, name)


def _size(name, size, named):
    if "size" in named:
        if size:
            raise TypeError(f"{name}() got multiple values for argument 'size'")
        return (named.pop("size"),)
    if not size:
        raise TypeError(f"{name}() missing 1 required argument: 'size'")
    return size


# New tensors ------------------------------------------------------------------------------


_OPTIONS = (
    "generator?=, out?=, dtype?=, layout?=, device?=, pin_memory?=, requires_grad?=, "
    "memory_format?="
)


@function(method=False)
@takes(f"*size, {_OPTIONS}")
def rand(*size, **named):
    """Draw uniform numbers from [0, 1).

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.rand(2)
    tensor([0.5349, 0.1988])
    """
    return _new("rand", _size("rand", size, named), "uniform", (), named)


@function(method=False)
@takes(f"*size, {_OPTIONS}")
def randn(*size, **named):
    """Draw normal numbers with mean 0 and variance 1.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.randn(2)
    tensor([-0.1468,  0.7861])
    """
    return _new("randn", _size("randn", size, named), "normal", (), named)


@function(method=False)
@takes(f"high: int, size: shape, *, {_OPTIONS}", f"low: int, high: int, size: shape, *, {_OPTIONS}")
def randint(*args, **named):
    """Draw integers from [low, high).

    The forms are ``randint(high, size)`` and ``randint(low, high, size)``.

    Args:
        low: The smallest integer. Default: 0.
        high: The limit above all integers.
        size: The shape of the result: a tuple of ints.
        dtype: The dtype of the result. Default: ``out``'s, else int64.

    Raises:
        RuntimeError: ``low`` is not smaller than ``high``.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.randint(10, (3,))
    tensor([5, 2, 1])
    """
    low, high, size = _bounds("randint", args, named, "size")
    if named.get("out") is None:
        named["dtype"] = named.get("dtype") or dtypes.int64
    return _new("randint", (size,), "integers", (low, high), named)


def _bounds(name, args, named, *rest):
    """(low, high, ...) from ``args`` and ``named``, which may lack low."""
    wanted = ("low", "high", *rest)
    given = dict(zip(wanted if len(args) + sum(k in named for k in wanted) == len(wanted)
                     else wanted[1:], args, strict=False))  # fmt: skip
    if len(args) > len(wanted):
        raise TypeError(
            f"{name}() takes {len(wanted)} positional arguments but {len(args)} were given"
        )
    for key in wanted:
        if key in named:
            given[key] = named.pop(key)
    for key in wanted[1:]:
        if key not in given:
            raise TypeError(f"{name}() missing 1 required argument: '{key}'")
    for key in ("low", "high"):
        value = given.get(key, 0)
        if isinstance(value, float) or not hasattr(value, "__index__"):
            raise TypeError(f"{name}(): argument '{key}' must be int, not {type(value).__name__}")
    return given.get("low", 0), *[given[k] for k in wanted[1:]]


@function(method=False)
@takes(f"n, *, {_OPTIONS}")
def randperm(n, **named):
    """Draw a random order of the numbers from 0 to n - 1.

    Args:
        n: Number of elements.
        dtype: The dtype of the result. Default: ``out``'s, else int64.

    Returns:
        Tensor of shape (n,).

    Raises:
        RuntimeError: ``n`` is negative.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.randperm(4)
    tensor([3, 2, 0, 1])
    """
    if named.get("out") is None:
        named["dtype"] = named.get("dtype") or dtypes.int64
    return _new("randperm", (n,), "permutation", (n,), named)


def _like(name, input, distribution, parameters, named, placed=()):

    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if mode.intercept and takes_handler(input):
        requires_grad = named.pop("requires_grad", False)
        return finished(late.handlers().ask(name, input, *placed, **named), requires_grad)
    if mode.intercept and named.get("device") is None and device_of(input) is not default_device():
        with at(device_of(input)):
            return _like(name, input, distribution, parameters, named)
    form = named.pop("memory_format", None)
    d = named.pop("dtype", None) or input.dtype
    options(d, named.pop("layout", None), named.pop("device", None), name)
    generator = checked_generator(named.pop("generator", None), name)
    requires_grad = named.pop("requires_grad", False)
    named.pop("pin_memory", None)
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
    array = input._array
    if form is not None and form is not preserve_format:
        array = laid_out(np.empty(array.shape, np.bool_), form, name)
    order = memory_order(array) or ()
    turned = [dim for dim in order if array.shape[dim] != 1]
    if turned == sorted(turned):
        order = None  # the new tensor is contiguous even if ``input`` has gaps in memory
    t = drawn_(
        shape=tuple(array.shape),
        dtype=d.numpy,
        distribution=distribution,
        parameters=parameters,
        generator=generator,
        order=order,
    )
    return finished(t, requires_grad)


def drawn_for(array, dtype, distribution, parameters, generator):
    """Draw numbers in the shape of ``array``, in the order of its elements in memory."""
    return drawn_(
        shape=tuple(array.shape),
        dtype=dtype,
        distribution=distribution,
        parameters=parameters,
        generator=generator,
        order=memory_order(array),
    )


def exponential_like(input):
    """Exponential numbers with mean 1 in the shape of the tensor ``input``, in C order."""
    a = input._array
    with at(device_of(input)) if mode.intercept else nullcontext():
        return drawn_(
            shape=tuple(a.shape), dtype=a.dtype, distribution="exponential", parameters=(1.0,),
            generator=default_generator,
        )  # fmt: skip


def memory_order(array):
    """The dims of ``array`` in memory order, the one with the largest stride first.

    The result is None for C order.
    """
    return None if _is_contiguous(array) else tuple(visit_order(array.shape, array.strides))


def _is_contiguous(array):
    if isinstance(array, np.ndarray):
        return array.flags.c_contiguous
    run = array.dtype.itemsize
    for n, stride in zip(reversed(array.shape), reversed(array.strides), strict=True):
        if n != 1 and stride != run:
            return False
        run *= n
    return True


@function(method=False)
@takes(f"input, *, {_OPTIONS}")
def rand_like(input, **named):
    """Draw uniform numbers from [0, 1), with the size and dtype of ``input``.

    >>> import rushlight as torch
    >>> torch.rand_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return _like("rand_like", input, "uniform", (), named)


@function(method=False)
@takes(f"input, *, {_OPTIONS}")
def randn_like(input, **named):
    """Draw normal numbers with mean 0 and variance 1, with the size and dtype of ``input``.

    >>> import rushlight as torch
    >>> torch.randn_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return _like("randn_like", input, "normal", (), named)


@function(method=False)
@takes(f"input, high: int, *, {_OPTIONS}", f"input, low: int, high: int, *, {_OPTIONS}")
def randint_like(input, *args, **named):
    """Draw integers from [low, high), with the size and dtype of ``input``.

    The forms are ``randint_like(input, high)`` and ``randint_like(input, low, high)``.

    Args:
        low: The smallest integer. Default: 0.
        high: The limit above all integers.

    Raises:
        RuntimeError: ``low`` is not smaller than ``high``.

    >>> import rushlight as torch
    >>> torch.randint_like(torch.zeros(2, 3), 10).dtype
    torch.float32
    """
    bounds = _bounds("randint_like", args, named)
    return _like("randint_like", input, "integers", bounds, named, bounds)


# From parameters in tensors ---------------------------------------------------------------


_NEGATIVE = "normal expects all elements of std >= 0.0"


def _require_positive(std):
    if type(std) is np.ndarray and (std < 0).any():
        raise RuntimeError(_NEGATIVE)


@kernel(public=False, method=False, name="normal", casts=True)
def _normal(xp, mean, std, z):
    """mean + std · z. The gradients are 0, as in PyTorch."""
    _require_positive(std)
    return z * std + mean


_normal.op.batching = "draw"
_normal.lower_on_devices(lambda mean, std, z: z * std + mean)


@_normal.lower_check
def _check_deviations(std):
    if isinstance(std, Tensor):
        check_range(std.lt(0).long(), low=0, high=0, error=RuntimeError, message=_NEGATIVE)


_normal.grad(mean=zeros, std=zeros)


@function(method=False)
@takes(
    "mean: Tensor, std=, *, generator?=, out?=",
    "mean, std: Tensor, *, generator?=, out?=",
    "mean: Tensor, std: Tensor, *, generator?=, out?=",
    f"mean, std, size: shape, *, {_OPTIONS}",
)
def normal(mean, std=1.0, size=None, *, generator=None, out=None, **named):
    """Draw normal numbers with the given means and standard deviations.

    ``mean`` or ``std`` or both are tensors, which are broadcast to one shape; or both are numbers,
    and ``size`` is given.

    Args:
        mean: The means: tensor or number.
        std: The standard deviations, none of them negative: tensor or number. Default: 1.
        size: The shape of the result if ``mean`` and ``std`` are numbers: a tuple of ints.
        dtype, layout, device, requires_grad, pin_memory: As for ``randn``, only with ``size``.

    Returns:
        Tensor of shape ``size``, or of the shape to which the tensors are broadcast.

    Raises:
        RuntimeError: A standard deviation is negative.
        TypeError: ``size`` is given with a tensor, or is missing for two numbers.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.normal(torch.tensor([0.0, 10.0]), 1.0)
    tensor([-0.1468, 10.7861])
    """
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if size is not None:
        if tensors:
            raise TypeError(
                "normal(): size is given together with a tensor; pass numbers for mean and std"
            )
        return _new(
            "normal", (size,), "normal", (mean, std), {"generator": generator, "out": out, **named}
        )
    if not tensors or named:
        raise TypeError(
            "normal() takes (Tensor mean, std), (mean, Tensor std) or (mean, std, size)"
        )
    if not isinstance(std, Tensor) and not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if isinstance(std, Tensor) and std.is_complex():
        raise RuntimeError(f"normal expects a real standard deviation, but found {std.dtype}")
    if isinstance(std, Tensor):  # before anything is drawn; a trace knows no values yet
        a = std._array
        if hasattr(a, "noted"):  # a call that will be replayed
            bool((a < 0).any())
        _require_positive(a)
    drawn_in = (out if isinstance(out, Tensor) else tensors[0])._array.dtype
    if dtypes.OF[drawn_in].category < 2:
        raise UnsupportedDtypeError(f'"normal_" not implemented for {dtypes.OF[drawn_in]}')
    shape = shapes.broadcast(
        "normal", *[tuple(t._array.shape) for t in tensors], names=("mean", "std")
    )
    with at(device_of(tensors[0])) if mode.intercept else nullcontext():
        z = drawn_(
            shape=shape,
            dtype=drawn_in,
            distribution="normal",
            parameters=(),
            generator=checked_generator(generator, "normal"),
        )
    if isinstance(std, Tensor):
        std = std.to(z.dtype)  # the result has the dtype of mean
    return _normal(mean, std, z, out=out)


def empty(xp, shape, dtype, order):
    """An uninitialised array whose dims lie in memory in ``order``; None for C order."""
    if order is None:
        return xp.empty(shape, dtype)
    return xp.empty([shape[d] for d in order], dtype).transpose(np.argsort(order))


_KEYWORDS = "dtype", "layout", "device", "requires_grad", "pin_memory"
for _call, _names in (
    (rand, ("size",)), (randn, ("size",)), (randint, ("low", "high", "size")), (randperm, ("n",)),
):  # fmt: skip
    _names = (*_names, "generator", "out", *_KEYWORDS)
    _call.__doc__ = complete(_call.__doc__ or "", _names, "source")
for _call, _names in (
    (rand_like, ("input",)), (randn_like, ("input",)), (randint_like, ("input", "low", "high")),
):  # fmt: skip
    _names = (*_names, "generator", *_KEYWORDS)
    _call.__doc__ = complete(_call.__doc__ or "", _names, "like")
