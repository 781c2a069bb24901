"""Random programs: lines from the grammar, kept if they run and are a ground for comparisons."""

import random as randomness

import numpy as np

from tests.search.programs import grammar
from tests.search.programs.comparing import Difference, wide
from tests.search.programs.program import Input, Program, Step, dense
from tests.search.programs.scopes import address, overlaps
from tests.search.programs.session import Session
from tests.search.programs.slots import Slots, Unfit, span

SIZES = (1, 2, 3, 3, 4, 5, 7, 8)
LARGE = (1, 2, 17, 33, 64, 129, 200)


class Generator:
    """One program from a seed; ``seen``: (a program that ends in a line, how that line differs)."""

    def __init__(self, seed):
        self.seed = seed
        self.random = randomness.Random(seed)
        self.large = self.random.random() < 0.08
        self.most = 60_000 if self.large else 600
        self.special = self.random.random() < 0.12
        self.inputs, self.steps = {}, []
        for i in range(self.random.randint(1, 4)):
            self.inputs[f"x{i}"] = self.input()
        self.session = Session(dict(self.inputs))
        self.made = 0
        self.seen = []

    def program(self):
        """Write the program. A line that differs is noted in ``seen``, and left out."""
        length = self.random.randint(5, 30 if not self.large else 10)
        for _ in range(length * 2):
            if len(self.steps) < length:
                self.line()
        names = self.session.ours.values
        picked = self.random.choices(names, k=self.random.randint(0, 4))
        outputs = tuple(dict.fromkeys([names[-1], *picked]))
        inside = self.random.choice(["inside", "outside", "outside", ""])
        return self.now(outputs, inside)

    def now(self, outputs, backward=""):
        return Program(dict(self.inputs), tuple(self.steps), outputs, backward, self.seed)

    # Inputs -----------------------------------------------------------------------------------

    def input(self):
        r = self.random
        sizes = LARGE if self.large else SIZES
        shape = tuple([r.choice(sizes) for _ in range(r.choice([0, 1, 2, 2, 2, 3, 3, 4]))])
        if self.large:
            shape = shape[:2]
        if r.random() < 0.04 and shape:
            shape = (0, *shape[1:])
        rare = r.random() < 0.5
        dtype = r.choice(grammar.DTYPES) if rare else r.choice(("float32", "float32", "float64"))
        strides, offset = self.layout(shape)
        floating = dtype in grammar.FLOATS or dtype in grammar.COMPLEXES
        values = "special" if self.special else r.choice(["plain", "plain", "fine"])
        grad = floating and r.random() < 0.4
        return Input(shape, dtype, strides, offset, values, r.randrange(1000), grad)

    def layout(self, shape):
        r = self.random
        kind = r.choice(["dense"] * 5 + ["permuted", "permuted", "stepped", "expanded", "windows"])
        strides, offset = list(dense(shape)), r.choice([0, 0, 1, 3])
        if not shape or 0 in shape or kind == "dense":
            return tuple(strides), 0
        if kind == "permuted":
            order = r.sample(range(len(shape)), len(shape))
            turned = dense([shape[d] for d in order])
            strides = [turned[order.index(d)] for d in range(len(shape))]
        elif kind == "stepped":
            strides = [step * 2 for step in strides]
        elif kind == "expanded":
            strides[r.randrange(len(shape))] = 0
        elif len(shape) > 1:
            strides = [1 if d >= len(shape) - 2 else step for d, step in enumerate(strides)]
        return tuple(strides), offset

    # Lines --------------------------------------------------------------------------------------

    def line(self):
        """Try one line of the grammar."""
        (kind,) = self.random.choices(grammar.KINDS, grammar.WEIGHTS)
        values = {n: self.session.theirs[n] for n in self.session.theirs.values}
        inputs = dict(self.inputs)
        try:
            form = self.random.choice(kind.lines)
            if self.special and any(word in form for word in grammar.TAME):
                return
            slots = Slots(self.random, values, inputs)
            text = slots.fill(form)
        except Unfit:
            return
        if kind.casts and any(hard_to_cast(values[n]) for n in names_in(text, values)):
            return
        if slots.target and not self.writable(slots.target, text):
            return
        if not comparable(form, text, slots):
            return
        grows = self.large and any(word in form for word in grammar.GROWS)
        if grows and any(values[n].numel() > 300 for n in names_in(text, values)):
            return
        two = text.startswith("a, b = ")
        if two:
            text = text.replace("a, b", f"v{self.made}, v{self.made + 1}", 1)
        elif not kind.writes:
            text = f"v{self.made} = {text}"
        self.made += 2 if two else not kind.writes
        fresh = {n: x for n, x in inputs.items() if n not in self.inputs}
        for name, x in fresh.items():
            self.session.add(name, x)
        self.inputs |= fresh
        self.attempt(Step(text, kind.exact, kind.dynamic, form))

    def writable(self, target, text):
        """Whether the line's result is defined: no two elements that it writes lie in one place."""
        names = dict(self.session.theirs.names)
        try:
            x = eval(target, names)
            grown = text.startswith("T.add(") and not target.isidentifier()
            if grown and eval(text.partition(", out=")[0] + ")", names).shape != x.shape:
                return False  # ``out`` is resized over what the line goes on to read
        except Exception:  # the line raises the same
            return True
        if ".data" in target and str(x.dtype).endswith("int64"):
            return False  # PyTorch's backward believes places that were changed behind its back
        if any(may_read(x, names[n]) for n in names_in(text.replace(target, ""), names)):
            return False
        return not overlaps(x) or ".fill_(" in text or ".zero_(" in text

    def attempt(self, step):
        found = self.session.step(step)
        if isinstance(found, Difference):
            self.steps.append(step)
            self.seen.append((self.now(tuple(step.makes or [step.writes])), found))
            self.steps.pop()
            self.take_back(step)
        elif found is None and self.fits(step):
            self.steps.append(step)
        else:
            self.take_back(step)

    def fits(self, step):
        """Whether the values are of moderate size, and gradients can still be had."""
        scope = self.session.theirs
        for name in step.makes or scope.values:
            t = scope[name]
            if t.numel() > self.most or t.ndim > 5:
                return False
            x = abs(wide(scope.array(name)))
            if self.special:
                x = x[np.isfinite(x)]
            if x.size and not x.max() < 3000:
                return False
        return bool(step.makes) or self.random.random() < 0.05 or self.differentiable()

    def differentiable(self):
        """Whether PyTorch goes backward after a write."""
        scope = self.session.theirs
        leaves = [scope[n] for n in self.inputs if scope[n].is_leaf and scope[n].requires_grad]
        ends = [scope[n] for n in scope.values if scope[n].requires_grad]
        if not leaves:
            return True
        T = scope.T
        try:
            sums = [(T.view_as_real(t) if t.is_complex() else t).double().sum() for t in ends]
            T.autograd.grad(sum(sums), leaves, retain_graph=True, allow_unused=True)
        except RuntimeError:
            return False
        return True

    def take_back(self, step):
        if step.makes:
            self.session.drop(step)
        else:
            self.restart()

    def restart(self):
        """Run the kept lines again, since another line wrote something."""
        self.session = Session(dict(self.inputs))
        for earlier in self.steps:
            self.session.step(earlier)


def names_in(text, values):
    return [n for n in Step(text).uses if n in values]


def comparable(form, text, slots):
    """Whether PyTorch defines what a line gives for its first value."""
    x = slots.first
    if any(word in form for word in grammar.BEYOND) and overlaps(x):
        return False
    used = [slots.values[n] for n in names_in(text, slots.values)]
    if form == "{n} ** {y}" and any(t.is_complex() for t in used) and not x.all():
        return False  # the power of 0 depends on how the loop is vectorised
    inner = ("grid_sample(", "T.atan2(", "prod(")
    if x.element_size() < 4 and x.is_floating_point() and any(word in form for word in inner):
        return False  # PyTorch rounds places, squares for the gradient, products to half precision
    if "view_as_real({c} *" in form and any("float16" in str(t.dtype) for t in used):
        return False  # of complex32, which rushlight lacks
    if "cross(" in form and x.element_size() < 4 and text.count(slots.name) > 1:
        return False  # the gradient is what remains of parts that cancel
    return not (any(word in form for word in grammar.CENTRED) and has_equal_rows(x))


def may_read(x, t):
    """Whether ``t`` looks at memory of ``x`` otherwise than ``x``, with gaps that hide it."""
    if address(x) is None or address(x) != address(t):
        return False
    places = [(tuple(v.shape), v.stride(), v.storage_offset()) for v in (x, t)]
    gaps = any(span(v) != v.numel() for v in (x, t))
    return x.dtype != t.dtype or (places[0] != places[1] and gaps)


def has_equal_rows(t):
    """Whether all numbers along some dim, of more than one, are equal."""
    x = t.detach()
    pairs = [(x.narrow(d, 0, 1), x) for d, n in enumerate(x.shape) if n > 1]
    return any(bool((first == whole).all(d).any()) for d, (first, whole) in enumerate(pairs))


def hard_to_cast(t):
    """Whether C leaves open what integers the numbers become."""
    if t.is_complex() or not t.is_floating_point() or not t.numel():
        return t.is_complex()
    x = t.detach().double()
    return not (bool(x.min() >= 0) and bool(x.max() < 100))
