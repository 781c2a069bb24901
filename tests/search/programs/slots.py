"""Fills the slots of the grammar's lines with names, numbers and shapes that suit the values so far."""

import re

from tests.search.programs import grammar
from tests.search.programs.program import Input, dense

SLOT = re.compile(r"\{(\w+)\}")


OPERAND = re.compile(r"[xrnifbcgwum]\d?")


class Unfit(Exception):
    """No value suits the slot."""


def kind_of(t):
    """The letters of the slots that a tensor suits."""
    if t.is_complex():
        return "xncgw"
    if t.is_floating_point():
        return "xrnfgw"
    return "xrbw" if str(t.dtype).endswith("bool") else "xrniw"


class Slots:
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
        return self.pick(lambda t: t.is_floating_point() and t.ndim and t.shape[-1] == 2)

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

    def size_of(self, d):
        if self.first.ndim < -d if d < 0 else self.first.ndim <= d:
            raise Unfit
        return self.first.shape[d]

    def few(self, most=4):
        return self.random.randint(1, most)

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

    # Numbers --------------------------------------------------------------------------------

    def dim(self):
        """The line's dim, counted from the front."""
        d, n = int(self.slot_of("d")), max(self.first.ndim, 1)
        if not -n <= d < n:
            raise Unfit
        return d % n

    def sized(self):
        """The size of the line's dim."""
        return self.first.shape[self.dim()] if self.first.ndim else 1

    def d(self):
        n = max(self.first.ndim, 1)
        return self.random.randrange(-n, n) if self.random.random() < 0.99 else n

    d2 = d

    def ds(self):
        n = self.first.ndim
        return tuple(self.random.sample(range(n), self.random.randint(min(n, 1), n)))

    def k(self):
        return self.random.random() < 0.5

    def s(self):
        return self.random.choice([0.5, 2, 1.5, -1, 0.1, 3, -0.75, True])

    def si(self):
        return self.random.choice([0, 1, 2, -1, 3])

    def step(self):
        return self.few(2)

    def pad(self):
        return self.random.randint(0, 1)

    def red(self):
        return self.random.choice(["'mean'", "'sum'", "'none'"])

    def bag(self):
        return self.random.choice(["'mean'", "'sum'", "'max'"])

    def how(self):
        return self.random.choice(["'sum'", "'prod'", "'mean'"])

    def how2(self):
        return self.random.choice(["'amax'", "'amin'"])

    def how3(self):
        return self.random.choice(["'prod'", "'mean'", "'amax'", "'amin'"])

    def t(self):
        rare = self.random.random() < 0.1
        return "T." + self.random.choice(grammar.DTYPES if rare else grammar.COMMON)

    def ft(self):
        return "T." + self.random.choice(grammar.FLOATS)

    def ndim(self):
        return self.first.ndim

    def numel(self):
        return self.first.numel()

    def shape(self):
        return tuple(self.first.shape)

    def size(self):
        return self.sized()

    def dim0(self):
        return max(self.size_of(0), 1)

    def lastsize(self):
        return self.size_of(-1)

    def lastdim(self):
        return [self.size_of(-1)]

    def lastdims(self):
        return list(self.first.shape[self.random.randrange(max(self.first.ndim, 1)) :])

    def at(self):
        n = self.sized()
        return self.random.randrange(-n, n) if n else 0

    def narrow(self):
        n = self.sized()
        start = self.random.randint(0, n)
        return f"{start}, {self.random.randint(0, n - start)}"

    def window(self):
        return self.random.randint(0, self.sized())

    def perm(self):
        return tuple(self.random.sample(range(self.first.ndim), self.first.ndim))

    def viewshape(self):
        """The shape with dims joined and split."""
        shape = list(self.first.shape)
        for _ in range(2):
            i = self.random.randrange(len(shape) + 1)
            if self.random.random() < 0.5 and i + 1 < len(shape):
                shape[i : i + 2] = [shape[i] * shape[i + 1]]
            elif i < len(shape) and shape[i] and shape[i] % 2 == 0:
                shape[i : i + 1] = [2, shape[i] // 2]
            else:
                shape.insert(i, 1)
        return tuple(shape)

    def expand(self):
        ones = [self.few(3) if n == 1 else self.random.choice([n, -1]) for n in self.first.shape]
        return tuple([self.few(3)] * (self.random.random() < 0.5) + ones)

    def repeats(self):
        return tuple([self.few(2)] * (self.first.ndim or 1))

    def strided(self):
        """Shape, strides and offset within the memory of the first value."""
        x = self.first
        size = x.untyped_storage().nbytes() // x.element_size()
        shape = [self.few() for _ in range(self.random.randint(0, 3))]
        strides = [self.random.choice([0, 1, 1, 2, 3, *x.stride()]) for _ in shape]
        span = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if span > size:
            raise Unfit
        offset = self.random.choice([0, x.storage_offset(), self.random.randint(0, size - span)])
        offset = min(offset, size - span)
        return f"{tuple(shape)}, {tuple(strides)}, {offset}"

    # Indices --------------------------------------------------------------------------------

    def item(self, n):
        r = self.random
        choices = [":", f"{r.randint(0, n)}:", f":{r.randint(-n, n)}", "::2", "None, :"]
        choices += [f"{r.randrange(-n, n)}", f"{r.randrange(n)}:{n}:{r.randint(1, 3)}"] if n else []
        return r.choice(choices)

    def index(self):
        """Ints, slices, None and "..."."""
        sizes = self.first.shape
        taken = self.random.randint(0, len(sizes))
        items = [self.item(n) for n in sizes[:taken]]
        if self.random.random() < 0.3:
            items.append("...")
        elif self.random.random() < 0.2 and taken < len(sizes):
            items = ["...", *[self.item(n) for n in sizes[taken:]]]
        return ", ".join(items) or "..."

    def advanced(self):
        """With lists and tensors of places among them."""
        sizes, items = self.first.shape, []
        count = self.few(3)
        for n in sizes[: self.random.randint(1, 3)]:
            draw = self.random.random()
            places = [self.random.randrange(-n, n) for _ in range(count)] if n else []
            if draw < 0.4:
                items.append(f"T.tensor({places}, dtype=T.int64)")
            elif draw < 0.5:
                items.append(f"T.tensor({[[p] for p in places]}, dtype=T.int64)" if places else ":")
            elif draw < 0.6:
                items.append(str(places))
            else:
                items.append(self.item(n))
        return ", ".join(items) or "None"

    def integers(self, count, n):
        if not n and count:
            raise Unfit
        return f"T.tensor({[self.random.randrange(n) for _ in range(count)]}, dtype=T.int64)"

    def along(self):
        return self.integers(self.few(), self.sized())

    def all(self):
        return self.integers(self.sized(), self.sized())

    def all0(self):
        n = self.size_of(0)
        return self.integers(n, n)

    def once(self):
        n = self.sized()
        return f"T.tensor({self.random.sample(range(n), n)}, dtype=T.int64)"

    def flat(self):
        return self.integers(self.few(), self.first.numel())

    def places(self):
        if not self.sized():
            raise Unfit
        x = self.name
        mixed = f"T.arange({self.first.numel()}).reshape({tuple(self.first.shape)})"
        return f"({mixed} * {self.random.choice([1, 3, 7])} % {self.sized()})" if x else ""

    def classes(self):
        if self.first.ndim != 2:
            raise Unfit
        return self.integers(self.first.shape[0], self.first.shape[1])


def is_operand(name):
    return OPERAND.fullmatch(name) or name in ("a", "image", "line", "square")


def broadcasts(x, y):
    pairs = zip(reversed(x), reversed(y), strict=False)
    return all(n == m or 1 in (n, m) for n, m in pairs)


def fits_in(small, large):
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(n in (1, m) for n, m in pairs)
