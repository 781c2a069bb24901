"""Random numbers written in place: ``normal_``, ``uniform_`` and the others."""

from functools import cache

from rushlight.autograd import mode
from rushlight.autograd.tape import set_history
from rushlight.autograd.write import check_write, write
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.create.fill import zero
from rushlight.ops.random.sampling import bernoulli_for, checked_generator, drawn_for, memory_order
from rushlight.tensor import Tensor, method


def _fill(self, name, distribution, parameters, generator):
    check_write(self, name)
    generator = checked_generator(generator, name)
    value = drawn_for(self.array, self.array.dtype, distribution, parameters, generator)
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
    """``uniform_(from=0, to=1)``: fill the tensor with uniform numbers from [from, to).

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
    """``random_(from=0, to)``: fill the tensor with integers from [from, to).

    Without bounds, the integers are from the dtype's full range.

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
    """Fill the tensor with ones with probability ``p`` (a number or a tensor), and zeros otherwise.

    >>> import rushlight as torch
    >>> torch.empty(2).bernoulli_(1.0)
    tensor([1., 1.])
    """
    if not isinstance(p, Tensor):
        return _fill(self, "bernoulli_", "bernoulli", (float(p),), generator)
    check_write(self, "bernoulli_")
    generator = checked_generator(generator, "bernoulli_")
    value = bernoulli_for(self.array, p.detach(), generator, memory_order(self.array))
    return _write(self, value, "bernoulli_")


@method
def exponential_(self, lambd=1, *, generator=None):
    """Fill the tensor with exponential numbers of mean 1 / ``lambd``.

    >>> import rushlight as torch
    >>> bool((torch.empty(3).exponential_() > 0).all())
    True
    """
    return _fill(self, "exponential_", "exponential", (float(lambd),), generator)


@method
def geometric_(self, p, *, generator=None):
    """Fill the tensor with numbers of trials up to the first success of probability ``p``."""
    return _fill(self, "geometric_", "geometric", (float(p),), generator)


@method
def log_normal_(self, mean=1, std=2, *, generator=None):
    """Fill the tensor with exp of normal numbers of the given ``mean`` and ``std``."""
    return _fill(self, "log_normal_", "log_normal", (float(mean), float(std)), generator)


@method
def cauchy_(self, median=0, sigma=1, *, generator=None):
    """Fill the tensor with Cauchy numbers."""
    return _fill(self, "cauchy_", "cauchy", (float(median), float(sigma)), generator)
