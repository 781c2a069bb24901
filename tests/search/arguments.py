"""Random calls of functions and modules, as lines of source.

A call is a line that runs under rushlight and under PyTorch. After ``torch.manual_seed`` both
frameworks draw the same parameters and the same inputs, so a line with its seed is a whole case.
"""

import math
import random
from dataclasses import dataclass

__all__ = ["Call", "Draw", "Input", "each", "given"]

#: How a floating-point input lies in memory; one in three does not lie as its shape says.
_LAYOUTS = ["contiguous"] * 4 + ["last two swapped", "channels last", "gaps"]


@dataclass(frozen=True)
class Input:
    """A tensor: ``leaf`` is its expression, and ``use`` is the expression that the call takes.

    ``{}`` in ``use`` stands for the leaf. The leaf gets a gradient where ``grad`` is set.
    """

    leaf: str
    grad: bool = False
    use: str = "{}"

    def __repr__(self):
        return self.use.format(self.leaf + ".requires_grad_()" * self.grad)

    def make(self, torch, leaves):
        """The tensor in ``torch``; its leaf is appended to ``leaves``."""
        leaf = eval(self.leaf, {"torch": torch})
        if self.grad:
            leaf.requires_grad_()
            leaves.append(leaf)
        return eval(self.use.format("leaf"), {"torch": torch, "leaf": leaf})

    def used(self, use):
        """The same leaf, used as the expression ``use``."""
        return Input(self.leaf, self.grad, use)


def each(names, draw):
    """A table in which all ``names`` are drawn alike."""
    return dict.fromkeys(names.split(), draw)


def given(*args, **named):
    """The arguments of a call, as they are written in one."""
    return args, named


def _written(args, named):
    return ", ".join([*map(_text, args), *(f"{n}={_text(value)}" for n, value in named.items())])


def _text(value):
    if isinstance(value, float) and math.isinf(value):
        return f"float('{value}')"  # the name inf alone is not Python's
    return repr(value)


def _made(value, torch, leaves):
    """An argument in ``torch``: the inputs in it become tensors."""
    if isinstance(value, Input):
        return value.make(torch, leaves)
    if isinstance(value, (list, tuple)):
        return type(value)([_made(v, torch, leaves) for v in value])
    return value


@dataclass(frozen=True)
class Call:
    """A call of ``torch.<name>``, or of the module that ``torch.<name>`` makes of ``settings``.

    Of modules ``settings`` has the arguments of the constructor, and ``train`` the mode.
    """

    name: str
    arguments: tuple
    settings: tuple | None = None
    train: bool = True
    double: bool = False

    def __repr__(self):
        function = f"torch.{self.name}"
        if self.settings is not None:
            function += f"({_written(*self.settings)})"
            function += ".double()" * self.double + ".eval()" * (not self.train)
        return f"{function}({_written(*self.arguments)})"

    def function(self, torch):
        """The function or the module that is called."""
        found = torch
        for part in self.name.split("."):
            found = getattr(found, part)
        if self.settings is None:
            return found
        args, named = self._made(torch, self.settings, [])
        module = found(*args, **named)
        return (module.double() if self.double else module).train(self.train)

    def made(self, torch):
        """(arguments, arguments by name, leaves with gradients) in ``torch``."""
        leaves = []
        return *self._made(torch, self.arguments, leaves), leaves

    def _made(self, torch, arguments, leaves):
        args, named = arguments
        args = [_made(value, torch, leaves) for value in args]
        return args, {name: _made(value, torch, leaves) for name, value in named.items()}


class Draw(random.Random):
    """Random arguments. All floating-point inputs of a draw have one dtype."""

    def __init__(self, seed):
        super().__init__(seed)
        self.double = self.random() < 0.5

    def chance(self, probability=0.5):
        return self.random() < probability

    def of(self, *options):
        return self.choice(options)

    def some(self, **options):
        """Arguments by name: half of ``options``, each with one of its values."""
        return {name: self.choice(values) for name, values in options.items() if self.chance()}

    def size(self, low=1, high=4):
        return self.randint(low, high)

    def sizes(self, count, low=1, high=4):
        return [self.size(low, high) for _ in range(count)]

    def shape(self, least=0, most=3, empty=0.1):
        """A shape of ``least`` to ``most`` dims; a dim of none with the probability ``empty``."""
        shape = self.sizes(self.randint(least, most))
        if shape and self.chance(empty):
            shape[self.randrange(len(shape))] = 0
        return shape

    def dim(self, shape):
        """A dim of ``shape``, counted from either end."""
        return self.randrange(-len(shape), len(shape)) if shape else self.of(0, -1)

    def per_dim(self, count, *options):
        """One of ``options`` for all dims, or one for each of ``count``."""
        return self.choice(options) if self.chance(0.7) else tuple(self.choices(options, k=count))

    def floats(self, *shape, low=-2.0, high=2.0, grad=True, contiguous=False, use="{}"):
        """A tensor of uniform numbers in [low, high) that lies in memory in one of the layouts."""
        layout = "contiguous" if contiguous else self.choice(_LAYOUTS)
        memory, view = list(shape), ""
        if layout == "last two swapped" and len(shape) > 1:
            memory[-1], memory[-2], view = memory[-2], memory[-1], ".mT"
        elif layout == "channels last" and len(shape) > 2:
            memory.append(memory.pop(1))
            view = f".permute({(0, len(shape) - 1, *range(1, len(shape) - 1))})"
        elif layout == "gaps" and shape:
            memory[-1], view = 2 * memory[-1], "[..., ::2]"
        leaf = f"torch.empty({tuple(memory)}).uniform_({low}, {high}){'.double()' * self.double}"
        return Input(leaf + view, grad, use)

    def positive(self, *shape, grad=True):
        return self.floats(*shape, low=0.1, grad=grad)

    def probabilities(self, *shape, grad=True):
        return self.floats(*shape, low=0.05, high=0.95, grad=grad)

    def integers(self, low, high, *shape):
        return Input(f"torch.randint({low}, {high}, {shape})")

    def bools(self, *shape):
        return Input(f"(torch.rand({shape}) < 0.6)")

    def signs(self, *shape):
        """A tensor of -1 and 1."""
        dtype = "double" if self.double else "float"
        return Input(f"(torch.randint(0, 2, {shape}) * 2 - 1).{dtype}()")

    def places(self, count, size, *lead):
        """``count`` different indices below ``size`` for each element of the shape ``lead``."""
        rows = [self.sample(range(size), count) for _ in range(math.prod(lead))]
        return Input(f"torch.tensor({rows}).reshape({(*lead, count)})")
