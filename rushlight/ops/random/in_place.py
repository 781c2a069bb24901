"""Random numbers written in place: ``normal_``, ``uniform_`` and the others."""

from contextlib import nullcontext
from functools import cache

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.tape import set_history
from rushlight.autograd.write import check_write, write
from rushlight.handled import takes_handler
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.overlap import refuse_overlap
from rushlight.ops.create.fill import zero
from rushlight.ops.random.discrete import bernoulli_for
from rushlight.ops.random.sampling import checked_generator, drawn_for, memory_order
from rushlight.remote import at, device_of
from rushlight.tensor import Tensor, method


def _fill(self, name, distribution, parameters, generator):
    check_write(self, name)
    if mode.intercept and takes_handler(self):
        named = {} if generator is None else {"generator": generator}
        if late.handlers().in_place(name, None, self, parameters, named) is self:
            return self
    with at(device_of(self)) if mode.intercept else nullcontext():
        generator = checked_generator(generator, name)
        value = drawn_for(self._array, self._array.dtype, distribution, parameters, generator)
    return _write(self, value, name)


def _write(self, value, name):
    """Write ``value``. A tensor with a history keeps it, and passes back a gradient of zeros."""
    node, before = None, self.node
    if self.node is not None and self.view_of is None and mode.records():
        node = zero(self).node
        node.__class__ = _node_class(name)
    write(self, value, name)
    if node is not None:
        self.node = before
        set_history(self, node)
    return self


@cache
def _node_class(name):
    """The node class of an in-place draw: that of ``zero``, under PyTorch's name for ``name``."""
    number = {"bernoulli_": 2, "random_": 1}.get(name, 0)
    title = "".join([part.capitalize() for part in name.split("_")])
    return type(f"{title}Backward{number}", (zero.op.node,), {"__slots__": ()})


@method
def normal_(self, mean=0, std=1, *, generator=None):
    """Fill the tensor with normal numbers.

    Args:
        mean: The mean of the numbers. Default: 0.
        std: The standard deviation of the numbers. Default: 1.

    Raises:
        RuntimeError: ``std`` is negative.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.empty(2).normal_(10, 1)
    tensor([ 9.8532, 10.7861])
    """
    return _fill(self, "normal_", "normal", (float(mean), float(std)), generator)


def _from_to(name, args, named, defaults):
    """The bounds ``from`` and ``to``, from ``args`` or ``named``.

    They cannot be ordinary parameters, because ``from`` is a keyword of Python.
    """
    given = dict(zip(("from", "to"), args, strict=False))
    for key, value in named.items():
        if key not in ("from", "to") or key in given:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        given[key] = value
    if len(args) > 2:
        raise TypeError(
            f"{name}() takes from 0 to 2 positional arguments but {len(args)} were given"
        )
    return given.get("from", defaults[0]), given.get("to", defaults[1])


@method
@takes("input, from: float=, to: float=, *, generator?=")
def uniform_(self, *args, generator=None, **named):
    """Fill the tensor with uniform numbers from [from, to).

    Args:
        from: The smallest number. Default: 0.
        to: The limit above all numbers. Default: 1.

    Raises:
        RuntimeError: ``from`` is larger than ``to``.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.empty(2).uniform_(0, 10)
    tensor([5.3492, 1.9880])
    """
    low, high = _from_to("uniform_", args, named, (0, 1))
    return _fill(self, "uniform_", "uniform", (float(low), float(high)), generator)


@method
@takes(
    "input, *, generator?=",
    "input, to: int, *, generator?=",
    "input, from: int, to: int?, *, generator?=",
)
def random_(self, *args, generator=None, **named):
    """Fill the tensor with integers from [from, to).

    The forms are ``random_()``, ``random_(to)`` and ``random_(from, to)``.

    Args:
        from: The smallest integer. Default: 0.
        to: The limit above all integers. Default: the dtype's largest value is the last integer,
            or in floating point the last up to which every integer has a number (float32: 2**24).

    Raises:
        RuntimeError: ``from`` is not smaller than ``to``.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.empty(3).random_(10)
    tensor([5., 2., 1.])
    """
    if not args and not named:
        return _fill(self, "random_", "full_range", (), generator)
    if len(args) == 1 and not named:
        args = (0, *args)
    low, high = _from_to("random_", args, named, (0, None))
    return _fill(self, "random_", "integers", (low, high), generator)


@method
@takes("input, p: operand=, *, generator?=")
def bernoulli_(self, p=0.5, *, generator=None):
    """Fill the tensor with ones with probability ``p``, and zeros otherwise.

    Args:
        p: Probability in [0, 1]: a number, or a tensor that broadcasts to this tensor's shape.
            Default: 0.5.

    Raises:
        RuntimeError: A probability is outside [0, 1].

    >>> import rushlight as torch
    >>> torch.empty(2).bernoulli_(1.0)
    tensor([1., 1.])
    """
    if not isinstance(p, Tensor):
        return _fill(self, "bernoulli_", "bernoulli", (float(p),), generator)
    check_write(self, "bernoulli_")
    refuse_overlap(self, (p,), "bernoulli_")
    generator = checked_generator(generator, "bernoulli_")
    value = bernoulli_for(self._array, p.detach(), generator, memory_order(self._array))
    return _write(self, value, "bernoulli_")


@method
def exponential_(self, lambd=1, *, generator=None):
    """Fill the tensor with exponential numbers of mean 1 / ``lambd``.

    Args:
        lambd: The rate, a positive number. Default: 1.

    Raises:
        RuntimeError: ``lambd`` is not positive, or the dtype is not floating point.

    >>> import rushlight as torch
    >>> bool((torch.empty(3).exponential_() > 0).all())
    True
    """
    return _fill(self, "exponential_", "exponential", (float(lambd),), generator)


@method
def geometric_(self, p, *, generator=None):
    """Fill the tensor with numbers of trials up to the first success of probability ``p``.

    Args:
        p: Probability of success, in (0, 1).

    Raises:
        RuntimeError: ``p`` is outside (0, 1).

    >>> import rushlight as torch
    >>> bool((torch.empty(3).geometric_(0.5) >= 1).all())
    True
    """
    return _fill(self, "geometric_", "geometric", (float(p),), generator)


@method
def log_normal_(self, mean=1, std=2, *, generator=None):
    """Fill the tensor with the exponentials of normal numbers.

    Args:
        mean: The mean of the normal numbers. Default: 1.
        std: The standard deviation of the normal numbers, positive. Default: 2.

    Raises:
        RuntimeError: ``std`` is not positive, or the dtype is not floating point.

    >>> import rushlight as torch
    >>> bool((torch.empty(3).log_normal_() > 0).all())
    True
    """
    return _fill(self, "log_normal_", "log_normal", (float(mean), float(std)), generator)


@method
def cauchy_(self, median=0, sigma=1, *, generator=None):
    """Fill the tensor with Cauchy numbers.

    Args:
        median: The median of the numbers. Default: 0.
        sigma: Half the distance between the quartiles, positive. Default: 1.

    Raises:
        RuntimeError: ``sigma`` is not positive, or the dtype is not floating point.

    >>> import rushlight as torch
    >>> bool(torch.empty(3).cauchy_().isfinite().all())
    True
    """
    return _fill(self, "cauchy_", "cauchy", (float(median), float(sigma)), generator)


for _call in (
    normal_, uniform_, random_, bernoulli_, exponential_, geometric_, log_normal_, cauchy_,
):  # fmt: skip
    vars(_call)["composes"] = "in place"  # the guard lets its calls be replayed
