"""Random programs on small tensors, as source that can be read and run.

A program is written line by line, and each line is run eagerly at once, so that the next one knows
the shapes. A line that fails, or whose result is not a moderate number, is taken back. So is one
whose result would jump (a comparison of two nearly equal numbers, a square root near zero), since
compiled code may round another way: an instruction states an expression that must be clear of 0.
"""

from math import prod

from hypothesis import strategies as st

import rushlight as torch

DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}

# What each does to float values {a}, {b}, {c} that broadcast, and what must be clear of 0.
ELEMENTWISE = {
    "{a} + {b}": None, "{a} - {b}": None, "{a} * {b}": None, "0.5 - {a}": None, "{a} * 2": None,
    "{a} / {b}": "{b}.abs()", "1 / {a}": "{a}.abs()", "torch.addcmul({a}, {b}, {c}, value=0.5)": None,
    "{a}.tanh()": None, "{a}.sigmoid()": None, "{a}.sin()": None, "{a}.cos()": None, "-{a}": None,
    "{a}.exp()": None, "{a}.expm1()": None, "{a}.square()": None, "{a} ** 3": None, "{a}.erf()": None,
    "{a}.log()": "{a}", "{a}.sqrt()": "{a}", "{a}.rsqrt()": "{a}", "{a}.log1p()": "{a} + 1",
    "{a}.abs()": "{a}.abs()", "{a}.relu()": "{a}.abs()", "{a}.sign()": "{a}.abs()", "{a}.atan()": None,
    "{a}.clamp(-0.5, 0.75)": "({a}.abs() - 0.625 + {a}.sign() * 0.125).abs()",
    "{a}.floor()": "({a} - {a}.round()).abs()", "{a}.round()": "0.5 - ({a} - {a}.round()).abs()",
    "torch.maximum({a}, {b})": "({a} - {b}).abs()", "torch.lerp({a}, {b}, 0.3)": None,
    "torch.where({a} > {b}, {a} * 2, {c})": "({a} - {b}).abs()", "torch.atan2({a}, {b})": "{a}.abs()",
    "{a} > {b}": "({a} - {b}).abs()", "{a} <= {b}": "({a} - {b}).abs()", "{a} != {b}": "({a} - {b}).abs()",
    "F.gelu({a})": None, "F.silu({a})": None, "F.softplus({a})": None, "torch.hypot({a}, {b})": "{a}.abs()",
    "F.leaky_relu({a}, 0.1)": "{a}.abs()", "torch.zeros_like({a})": None, "{a}.detach() * {b}": None,
    "{a}.clone()": None, "{a}.contiguous()": None, "torch.full_like({a}, 0.3)": None,
}  # fmt: skip
# The same on values of any dtype.
LOGIC = {
    "{a}.to(torch.float32)": None, "{a}.to(torch.float64)": None, "{a}.double() + 0.25": None,
    "{a}.long()": "({a} - {a}.round()).abs()", "{a}.bool()": "{a}.abs()", "{a} + {b}": None,
    "{a} * {b}": None, "({a} > 0) & ({b} > 0)": "torch.minimum({a}.abs(), {b}.abs())",
    "({a} > 0).logical_xor({b} < 0)": "torch.minimum({a}.abs(), {b}.abs())",
    "{a}.long() // 2": "({a} - {a}.round()).abs()", "{a}.masked_fill({b} > 0, 1)": "{b}.abs()",
    "torch.where({a} > 0, {b}, {c})": "{a}.abs()", "~({a} > 0)": "{a}.abs()",
}  # fmt: skip
# {d}: one dim; {ds}: some dims; {k}: keepdim.
REDUCTIONS = {
    "{a}.sum({ds}, keepdim={k})": None, "{a}.mean({ds}, keepdim={k})": None, "{a}.mean()": None,
    "{a}.var({ds}, correction=0, keepdim={k})": None, "{a}.logsumexp({ds}, keepdim={k})": None,
    "{a}.std({d}, correction=0, keepdim={k})": "{a}.var({d}, correction=0)", "{a}.norm(dim={d}, keepdim={k})": "{a}.norm(dim={d})",
    "{a}.amax({d}, keepdim={k})": "{gaps}", "{a}.max({d}, keepdim={k}).values": "{gaps}",
    "{a}.argmax({d}, keepdim={k})": "{gaps}", "{a}.prod({d}, keepdim={k})": "{a}.abs()",
    "({a} > 0).any({d}, keepdim={k})": "{a}.abs()", "({a} > 0).all({d})": "{a}.abs()",
    "({a} > 0).sum({ds}, keepdim={k})": "{a}.abs()", "{a}.cumsum({d})": None, "{a}.sum()": None,
    "F.softmax({a}, {d})": None, "F.log_softmax({a}, {d})": None, "{a}.sort({d}).values": "{gaps}",
    "F.layer_norm({a}, {a}.shape[-1:])": "{a}.var(-1, correction=0)", "{a}.cumprod({d})": "{a}.abs()",
    "{a}.flip({d})": None, "{a}.roll(1, {d})": None, "F.normalize({a}, dim={d})": "{a}.norm(dim={d})",
}  # fmt: skip
# Written in place to {a}, or to the view of it that follows; {b} broadcasts to it.
WRITES = {
    "{a}.add_({b})": None, "{a}.mul_({b})": None, "{a}.copy_({b})": None, "{a}.zero_()": None,
    "{a}.sub_({b}, alpha=0.5)": None, "{a}.tanh_()": None, "{a}.fill_(0.75)": None, "{a}.neg_()": None,
    "{a}.masked_fill_({b} > 0, 0.5)": "{b}.abs()", "{a}.clamp_(min=-0.25)": "({a} + 0.25).abs()",
    "{a}[...] = {b}": None, "{a}.lerp_({b}, 0.25)": None, "{a}.addcmul_({b}, {b}, value=-0.5)": None,
}  # fmt: skip

CLEAR, LARGE = 1e-2, 50


def _fits(small, large):
    """Whether ``small`` broadcasts to ``large``."""
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(n in (1, m) for n, m in pairs)


def _broadcast(x, y):
    pairs = zip(reversed(x), reversed(y), strict=False)
    return all(n == m or 1 in (n, m) for n, m in pairs)


class Program:
    """Lines of Python between inputs and results; ``scope`` has the values of now."""

    def __init__(self, draw):
        self.draw = draw
        shapes = draw(
            st.lists(st.lists(st.sampled_from([1, 2, 3, 4]), max_size=3), min_size=2, max_size=4)
        )
        numbers = st.integers(-40, 40).map(lambda k: (k + 0.37) / 16)
        self.inputs = {}
        for i, shape in enumerate(shapes):
            flat = draw(st.lists(numbers, min_size=prod(shape), max_size=prod(shape)))
            dtype = draw(st.sampled_from(["float32", "float32", "float32", "float64", "int64"]))
            wants = dtype != "int64" and draw(st.booleans())
            self.inputs[f"x{i}"] = (flat, shape, dtype, wants)
        self.lines, self.results = [], []
        self.made = 0
        self.scope = self.run(self.fresh())

    # Running ------------------------------------------------------------------------------

    def fresh(self, noise=0.0):
        """New tensors for the inputs; ``noise`` changes them a little, to and fro."""
        found = {}
        for name, (flat, shape, dtype, wants) in self.inputs.items():
            flat = [x * (1 + noise * (-1) ** i) for i, x in enumerate(flat)]
            values = (
                torch.tensor(flat, dtype=torch.float64).reshape(shape).to(DTYPES[dtype]).clone()
            )
            found[name] = values.requires_grad_(wants)
        return found

    def run(self, given):
        scope = {"torch": torch, "F": torch.nn.functional, **given}
        exec("\n".join(self.lines), scope)
        return scope

    def names(self, keep=lambda t: True):
        return [n for n, t in self.scope.items() if isinstance(t, torch.Tensor) and keep(t)]

    def source(self, inside):
        """The text of the function; with ``inside`` it calls backward itself."""
        results = f"[{', '.join(self.results)}]"
        tail = [f"total({results})"] if inside else []
        tail.append(f"return {results}")
        head = f"def program({', '.join(self.inputs)}):"
        return "\n    ".join([head, *self.lines, *tail])

    def __repr__(self):
        given = [f"{n} = {t!r}" for n, t in self.fresh().items()]
        return "\n".join(["", *given, self.source(False)])

    def reduce(self, fails):
        """Leave out every line and result that ``fails(self)`` does not need."""
        for part in (self.lines, self.results, self.lines):
            for i in reversed(range(len(part))):
                taken = part.pop(i)
                try:
                    needed = not part or not fails(self)
                except Exception:  # others depend on it
                    needed = True
                if needed:
                    part.insert(i, taken)

    # Writing ------------------------------------------------------------------------------

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def add(self, line, clear=None, writes=False):
        """Append ``line`` if it runs, and what it makes is fit for a comparison."""
        try:
            if clear is not None and not _clear(eval(clear, self.scope)):
                return
            exec(line, self.scope)
            fit = all(_moderate(self.scope[n]) for n in self.names())
            if fit and writes:  # to what a gradient needs?
                total([self.scope[n] for n in self.names()])
        except (RuntimeError, TypeError, IndexError, ValueError):
            fit = False
        if fit:
            self.lines.append(line)
        if writes or not fit:
            self.scope = self.run(self.fresh())

    def make(self, expression, clear=None):
        self.made += 1
        self.add(f"v{self.made} = {expression}", clear)

    def change(self, line, clear=None):
        self.add(line, clear, writes=True)

    def operands(self, keep):
        """Three values of which the later ones broadcast with the first."""
        a = self.pick(self.names(keep) or self.names())
        shape = self.scope[a].shape
        near = self.names(lambda t: keep(t) and _broadcast(t.shape, shape)) or [a]
        return {"a": a, "b": self.pick(near), "c": self.pick(near)}

    def elementwise(self):
        self.template(ELEMENTWISE, self.operands(_floating))

    def logic(self):
        self.template(LOGIC, self.operands(lambda t: True))

    def template(self, table, operands, make=None):
        form = self.pick(table)
        clear = table[form]
        line = form.format(**operands)
        (make or self.make)(line, None if clear is None else f"({clear.format(**operands)})")

    def reduction(self):
        a = self.pick(self.names(lambda t: _floating(t) and t.ndim))
        ndim = self.scope[a].ndim
        d = self.pick(range(-ndim, ndim))
        ds = tuple(sorted(self.draw(st.sets(st.sampled_from(range(ndim)), min_size=1))))
        sorted_ = f"{a}.sort({d}).values"
        n = self.scope[a].shape[d]
        gaps = f"{sorted_}.narrow({d}, 1, {n - 1}) - {sorted_}.narrow({d}, 0, {n - 1})"
        operands = {"a": a, "d": d, "ds": ds, "k": self.pick([True, False]), "gaps": gaps}
        self.template(REDUCTIONS, operands)

    def view(self):
        a = self.pick(self.names())
        self.make(a + self.looking(self.scope[a].shape))

    def looking(self, shape):
        """The text of a view of a tensor of this shape."""
        forms = [
            ".reshape(-1)",
            "[None]",
            ".squeeze()",
            ".unsqueeze(-1)",
            f".expand({[2, *shape]})",
        ]
        ndim = len(shape)
        if ndim:
            i, j = self.pick(range(ndim)), self.pick(range(-ndim, ndim))
            n = shape[i]
            k = self.pick(range(n))
            forms += [
                f".transpose({i}, {j})", f".movedim({i}, {j})", f".select({i}, {k})", f".narrow({i}, {k}, {n - k})",
                f".unfold({i}, {min(2, n)}, 1)", f".flatten({i})", f"[..., {k % shape[-1]}:]", f"[{k % shape[0]}]",
                f"[{k % shape[0]}::2]", f".chunk(2, {i})[0]", f".reshape({[*shape[::-1]]})", "[..., -1]",
                f".permute({sorted(range(ndim), key=lambda d: (d * 7 + k) % 5)})", f".unbind({i})[{k}]",
                f".reshape({shape[-1]}, -1)", f".split(2, {i})[-1]", ".mT" if ndim > 1 else ".unsqueeze(0)",
                ".diagonal()" if ndim > 1 else "[:1]",
            ]  # fmt: skip
        return self.pick(forms)

    def write(self):
        own = lambda t: not (t.is_leaf and t.requires_grad)
        a = self.pick(
            self.names(lambda t: _floating(t) and own(t)) or self.names(own) or self.names()
        )
        target = a + (self.looking(self.scope[a].shape) if self.draw(st.booleans()) else "")
        try:
            written = eval(target, dict(self.scope))
        except (RuntimeError, IndexError, TypeError):
            return
        shape = written.shape
        span = 1 + sum((n - 1) * step for n, step in zip(shape, written.stride(), strict=True))
        if written.numel() > span:  # an element in several windows: who writes it last is open
            return
        near = self.names(lambda t: _fits(t.shape, shape))
        b = self.pick(near) if near else "torch.tensor(0.5)"
        self.template(WRITES, {"a": target, "b": b}, self.change)

    def join(self):
        a = self.pick(self.names(_floating))
        shape = self.scope[a].shape
        same = self.names(lambda t: t.shape == shape)
        b = self.pick(same)
        forms = [f"torch.stack([{a}, {b}], -1)", f"torch.stack([{a}, {b}, {a}])"]
        if shape:
            d = self.pick(range(len(shape)))
            picks = [self.pick(range(shape[d])) for _ in range(3)]
            forms += [
                f"torch.cat([{a}, {b}], {d})", f"torch.cat([{a}, {b}[:1], {a}])", f"F.pad({a}, (1, 2))",
                f"{a}.index_select({d}, torch.tensor({picks}))", f"{a}.repeat_interleave(2, {d})",
                f"{a}[{picks[:1] if d == 0 else ':'}]", f"torch.tril({a})", f"{a}.repeat({[2] * len(shape)})",
                f"torch.gather({a}, {d}, torch.full_like({a}, {picks[0]}, dtype=torch.int64))",
                f"torch.zeros_like({a}).index_add({d}, torch.tensor({picks[:1] * shape[d]}), {b}.to({a}.dtype))",
            ]  # fmt: skip
        self.make(self.pick(forms))

    def product(self):
        a = self.pick(self.names(lambda t: _floating(t) and t.ndim))
        x = self.scope[a]
        n = x.shape[-1]
        inner = lambda t: t.dtype == x.dtype and t.ndim and t.shape[-1] == n
        b = self.pick(self.names(inner))
        turned = f"{b}.mT" if self.scope[b].ndim > 1 else b
        self.make(self.pick([f"{a} @ {turned}", f"F.linear({a}, {b})", f"torch.matmul({a}.tanh(), {turned})",
                             f"torch.einsum('...i,...i->...', {a}, {b})", f"torch.outer({a}.reshape(-1), {b}.reshape(-1))"]))  # fmt: skip


def _floating(t):
    return t.is_floating_point()


def _moderate(t):
    small = t.numel() == 0 or bool(t.detach().double().abs().max() < LARGE)  # False for NaN
    return small and t.numel() <= 200 and t.ndim < 6


def _clear(x):
    """Whether all of ``x`` is clearly above 0; of integers nothing is asked."""
    if not x.is_floating_point():
        return True
    return x.numel() == 0 or bool(x.detach().min() > CLEAR)


def total(results):
    """Go backward from a scalar that depends on all results; nothing where none has a history."""
    parts = [t.sin().sum() for t in results if t.requires_grad]
    if parts:
        sum(parts).backward()


KINDS = {
    Program.elementwise: 8, Program.view: 5, Program.reduction: 4, Program.write: 4, Program.join: 2,
    Program.product: 2, Program.logic: 3,
}  # fmt: skip


@st.composite
def programs(draw, shortest=5, longest=40):
    """Programs of so many instructions, of which some turn out impossible and are left out."""
    program = Program(draw)
    kinds = st.sampled_from([k for k, weight in KINDS.items() for _ in range(weight)])
    floats = program.names(_floating)
    program.make(f"{floats[0]} * 1.5" if floats else "x0 + 0.25")
    length = draw(st.integers(shortest, longest))
    for kind in draw(st.lists(kinds, min_size=length, max_size=length)):
        if kind in (Program.reduction, Program.product) and not program.names(
            lambda t: _floating(t) and t.ndim
        ):
            kind = Program.elementwise
        kind(program)
    names = program.names()
    program.results = [
        *dict.fromkeys([names[-1], *draw(st.lists(st.sampled_from(names), max_size=4))])
    ]
    return program
