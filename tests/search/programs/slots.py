"""Fills the slots of the grammar's lines with names, numbers and shapes that suit the values so far."""

import re

from tests.search.programs import grammar
from tests.search.programs.parameters import Parameters, Unfit
from tests.search.programs.program import Input, dense
from tests.search.programs.scopes import address

SLOT = re.compile(r"\{(\w+)\}")


OPERAND = re.compile(r"[xrnifbcgwum]\d?")


def kind_of(t):
    """The letters of the slots that a tensor suits."""
    if t.is_complex():
        return "xncgw"
    if t.is_floating_point():
        return "xrnfgw"
    return "xrbw" if str(t.dtype).endswith("bool") else "xrniw"


class Slots(Parameters):
    """The slots of one line. ``values``: name → tensor; ``inputs``: the inputs, to which new ones come."""

    def __init__(self, random, values, inputs):
        self.random, self.values, self.inputs = random, values, inputs
        self.first = None
        self.target = None  # the text of what the line writes to

    def fill(self, line):
        """The line with its slots filled, each name once."""
        self.found = {}
        for name in SLOT.findall(line):
            if is_operand(name):
                self.slot_of(name)
                break
        else:
            raise Unfit
        return SLOT.sub(self.slot, line)

    def slot(self, match):
        return self.slot_of(match[1])

    def slot_of(self, name):
        """The text in a slot, the same wherever the line has it."""
        if name not in self.found:
            self.found[name] = str(self.value(name))
        return self.found[name]

    def value(self, name):
        if OPERAND.fullmatch(name):
            return self.operand(name[0], int(name[1:] or 0))
        if name.startswith("new"):
            return self.new(getattr(self, name)())
        return getattr(self, name)()

    # Values ---------------------------------------------------------------------------------

    def pick(self, fits):
        names = [n for n, t in self.values.items() if fits(t)]
        if not names:
            raise Unfit
        late = names[-3:] if self.random.random() < 0.6 else names  # so that programs are deep
        return self.random.choice(late)

    def operand(self, kind, ndim=0):
        """A value of a kind with at least so many dims; the line's first one is looked at by the rest."""
        fits = lambda t: kind in kind_of(t) and t.ndim >= ndim
        if kind == "w":
            fits = lambda t: not (t.is_leaf and t.requires_grad) or self.random.random() < 0.02
        if kind == "m":
            fits = lambda t: "n" in kind_of(t) and not (t.is_leaf and t.requires_grad)
        if kind == "u":
            fits = lambda t: not t.requires_grad
        if self.first is not None and self.random.random() < 0.6 and fits(self.first):
            name = self.name
        else:
            name = self.pick(fits)
        if self.first is None:
            self.name, self.first = name, self.values[name]
        if kind in "wum":
            self.target = name + (self.looking() if self.random.random() < 0.3 else "")
            return self.target
        return name

    def looking(self):
        """A view of the value that is written to."""
        line = self.random.choice(grammar.LOOKS)
        name, first = self.name, self.first
        text = Slots(self.random, {name: first}, self.inputs).fill("{x}" + line)
        return text[len(name) :]

    def a(self):
        """A value to the left of an augmented assignment, which must be a name or an index."""
        self.operand("w")
        self.target = self.name
        return self.name

    def y(self):
        """Another value, which mostly broadcasts with the first, and mostly is of its kind."""
        if self.random.random() < 0.02:
            return self.pick(lambda t: True)
        shape = self.first.shape
        kind = kind_of(self.first)
        like = self.random.random() < 0.7
        return self.pick(lambda t: broadcasts(t.shape, shape) and (not like or kind_of(t) == kind))

    z = y

    def same(self):
        x = self.first
        return self.pick(lambda t: t.shape == x.shape and t.dtype == x.dtype)

    same2 = same

    def part(self):
        """A value that ``cat`` takes beside the first one: another size in its dim."""
        return f"{self.name}.narrow({self.slot_of('d')}, 0, 1)"

    def fit(self):
        shape = self.first.shape
        like = self.random.random() < 0.7
        kind = kind_of(self.first)
        if self.random.random() < 0.1:
            return self.s()
        return self.pick(lambda t: fits_in(t.shape, shape) and (not like or kind_of(t) == kind))

    def own(self):
        """What the line writes to, or its copy where PyTorch does not see that they overlap."""
        x = self.first
        whole = self.target == self.name and x.numel() == span(x)
        return self.target if whole else f"{self.target}.clone()"

    def apart(self, ndim=2):
        """A matrix in other memory than what the line writes to."""
        name = self.operand("f", ndim)
        return f"{name}.clone()" if address(self.values[name]) == address(self.first) else name

    def apart3(self):
        return self.apart(3)

    def plain(self):
        """As ``fit``, without a gradient."""
        found = self.fit()
        return f"{found}.detach()" if found in self.values else found

    def any(self):
        return self.pick(lambda t: True)

    def mask(self):
        shape = self.first.shape
        try:
            return self.pick(lambda t: kind_of(t) == "xrbw" and fits_in(t.shape, shape))
        except Unfit:
            real = self.pick(lambda t: not t.is_complex() and fits_in(t.shape, shape))
            return f"({real} > 0)"

    def scalar(self):
        return f"T.tensor({self.s()}).to({self.name}.dtype)"

    def last2(self):
        pairs = lambda t: t.ndim and t.shape[-1] == 2
        return self.pick(lambda t: t.is_floating_point() and t.element_size() > 2 and pairs(t))

    def square(self):
        even = lambda t: t.ndim > 1 and t.shape[-1] == t.shape[-2] and "n" in kind_of(t)
        self.name = self.pick(even)
        self.first = self.values[self.name]
        return self.name

    def image(self):
        name = self.operand("f", 2)
        if self.first.ndim > 4:
            raise Unfit
        return name + "[None]" * (4 - self.first.ndim)

    def line(self):
        name = self.operand("f", 1)
        if self.first.ndim > 3:
            raise Unfit
        return name + "[None]" * (3 - self.first.ndim)

    # New inputs -----------------------------------------------------------------------------

    def new(self, shape):
        if not all(shape):
            raise Unfit
        name = f"x{len(self.inputs)}"
        dtype = str(self.first.dtype).removeprefix("torch.")
        seed = self.random.randrange(1000)
        grad = self.random.random() < 0.4 and "g" in kind_of(self.first)
        self.inputs[name] = Input(tuple(shape), dtype, dense(shape), 0, "plain", seed, grad)
        return name

    def newmat(self):
        return self.size_of(-1), self.few()

    def newleft(self):
        return self.few(), self.size_of(-2)

    def newlinear(self):
        return self.few(), self.size_of(-1)

    def newlast(self):
        return (self.size_of(-1),)

    def new1(self):
        return (1,)

    def newbias(self):
        return (self.inputs[self.found["newconv"]].shape[0],)

    def newconv(self):
        return self.few(), self.channels(), self.few(3), self.few(3)

    def newconv1(self):
        return self.few(), self.first.shape[-2] if self.first.ndim > 1 else 1, self.few(3)

    def newtrans1(self):
        return self.first.shape[-2] if self.first.ndim > 1 else 1, self.few(), self.few(3)

    def newtrans(self):
        return self.channels(), self.few(), self.few(3), self.few(3)

    def newconv3(self):
        return self.few(), 1, 1, self.few(2), self.few(2)

    def newdepth(self):
        return self.channels(), 1, self.few(3), self.few(3)

    def newgrid(self):
        return self.first.shape[0] if self.first.ndim == 4 else 1, 2, 3, 2

    def channels(self):
        return self.first.shape[-3] if self.first.ndim > 2 else 1


def span(t):
    """From the first element to the last, in elements."""
    return 1 + sum((n - 1) * step for n, step in zip(t.shape, t.stride(), strict=True))


def is_operand(name):
    return OPERAND.fullmatch(name) or name in ("a", "image", "line", "square")


def broadcasts(x, y):
    pairs = zip(reversed(x), reversed(y), strict=False)
    return all(n == m or 1 in (n, m) for n, m in pairs)


def fits_in(small, large):
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(n in (1, m) for n, m in pairs)
