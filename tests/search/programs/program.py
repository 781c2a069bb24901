"""A random program as data: inputs, lines of Python over named values, and what is returned.

The text uses the name ``T`` for the framework, so that one program runs on rushlight and PyTorch.
"""

import inspect
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

#: Parts of lines that subtract inside.
CANCELS = (
    "var", "std", "cross(", "_norm(", "cov(", "corrcoef", "gelu(", "addcmul", "addcdiv", "logaddexp", "bicubic",
    " @ ", "linear(", "mm(", "mv(", "dot(", "einsum(", "conv", "inner(", "index_add", "scatter_add",
    "scatter_reduce", "accumulate=True", "embedding_bag", "with_logits",
    "cross_entropy",
)  # fmt: skip
NAMES = re.compile(r"\b[xv]\d+\b")


@dataclass(frozen=True)
class Input:
    """A tensor of numbers from a seed, with strides of its own over a storage."""

    shape: tuple
    dtype: str
    strides: tuple
    offset: int = 0
    values: str = "plain"
    seed: int = 0
    grad: bool = False

    @property
    def text(self):
        """An expression that makes the tensor."""
        size = self.offset + 1
        size += sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        size = max(size, 0) if 0 not in self.shape else self.offset
        made = f"tensor(T, {size}, T.{self.dtype}, {self.values!r}, {self.seed})"
        if self.strides == dense(self.shape) and not self.offset:
            made += f".reshape({self.shape})"
        else:
            made += f".as_strided({self.shape}, {self.strides}, {self.offset})"
        return made + ".detach()" + ".requires_grad_()" * self.grad


@dataclass(frozen=True, eq=False)
class Step:
    """One line. ``exact`` steps only move numbers; ``dynamic`` ones need values for their shapes."""

    text: str
    exact: bool = False
    dynamic: bool = False
    form: str = ""  # the grammar's line

    @cached_property
    def makes(self):
        """Names that the line assigns."""
        head, equals, _ = self.text.partition(" = ")
        names = head.split(", ")
        return names if equals and all(map(NAMES.fullmatch, names)) else []

    @cached_property
    def code(self):
        return compile(self.text, self.text, "exec")

    @cached_property
    def cancels(self):
        """Whether it subtracts inside, so that its result may be rounding alone."""
        # Each term is rounded before it is added.
        rounds = "sum(" in self.text and "dtype=" in self.text
        return rounds or any(word in self.text for word in CANCELS)

    @property
    def writes(self):
        """The name of the value that the line writes to."""
        return NAMES.findall(self.text.partition("out=")[2] or self.text)[0]

    @property
    def uses(self):
        rest = self.text.partition(" = ")[2]
        return NAMES.findall(rest if self.makes else self.text)


@dataclass(frozen=True)
class Program:
    """``backward``: "inside" the function, "outside", or "" where no gradient is asked for."""

    inputs: dict
    steps: tuple
    outputs: tuple
    backward: str = ""
    seed: int | None = None

    @property
    def source(self):
        """The text of the function."""
        lines = [s.text for s in self.steps]
        if self.backward == "inside":
            lines.append(f"backward(T, [{', '.join(self.outputs[:: self.stride])}])")
        lines.append(f"return [{', '.join(self.outputs)}]")
        return "\n    ".join([f"def program({', '.join(self.inputs)}):", *lines])

    @property
    def stride(self):
        """Of the results every so many-th has a gradient: who computes several may want one."""
        return 1 + (self.seed or 0) % 2

    @property
    def graph(self):
        """Whether the eager gradient is to have a graph of its own: its rules then work on tensors."""
        return (self.seed or 0) % 3 == 1

    @property
    def twice(self):
        """Whether the eager gradients of second order are compared, rather than the first."""
        return (self.seed or 0) % 6 == 1

    @property
    def script(self):
        """A script that runs the program eagerly and compiled, and prints both."""
        given = [f'    "{n}": lambda: {x.text},' for n, x in self.inputs.items()]
        graph = "function is program" if self.graph else False
        ends = f"results[::{self.stride}]"
        after = f"backward(T, {ends}, graph={graph})\n    " * (self.backward == "outside")
        head = "import numpy as np\n\nimport rushlight as T\n\nF = T.nn.functional\n"
        parts = [head, inspect.getsource(tensor), inspect.getsource(backward)]
        parts += ["GIVEN = {\n" + "\n".join(given) + "\n}\n", self.source + "\n", RUN % after]
        return "\n\n".join(parts)

    def without_unused(self):
        """The program without inputs that nothing uses."""
        used = {n for s in self.steps for n in s.uses} | set(self.outputs)
        return replace(self, inputs={n: x for n, x in self.inputs.items() if n in used})


RUN = """
for function in (program, T.compile(program)):
    given = {name: make() for name, make in GIVEN.items()}
    results = function(*given.values())
    %sprint(*results, sep="\\n")
    for name, x in given.items():
        print(name, x.detach(), "gradient", x.grad if x.is_leaf else None)
"""


def dense(shape):
    """The strides of a contiguous tensor."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def tensor(T, size, dtype, kind, seed):
    """``size`` numbers; ties are frequent in "plain" ones, "special" ones have nan and the like."""
    random = np.random.default_rng(seed)
    whole = not (dtype.is_floating_point or dtype.is_complex)
    unsigned = dtype in (T.uint8, T.uint16, T.uint32, T.uint64)
    found = random.integers(0 if unsigned else -9, 10, size).astype(float)
    if not whole:
        found = random.normal(size=size) if kind == "fine" else found / 8
    if kind == "special" and size and not whole:
        at = random.integers(0, size, 1 + size // 5)
        # Products in bfloat16 take what is denormal for 0 on some processors.
        tiny = 1e-30 if dtype is T.bfloat16 else 1e-40
        found[at] = random.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, 1e3], len(at))
    if dtype.is_complex:
        found = found + 1j * random.permutation(found)
    return T.from_numpy(found).to(dtype, copy=True)


def backward(T, results, shake=lambda x: x, graph=False):
    """Go backward from a scalar in which each element of the results has a weight of its own."""
    total = None
    for t in results:
        if t.requires_grad:
            t = T.view_as_real(t.resolve_conj()) if t.is_complex() else t
            weights = T.cos(T.arange(t.numel(), dtype=T.float64)).to(t.dtype).reshape(t.shape)
            part = (t * shake(weights)).sum().double()
            total = part if total is None else total + part
    if total is not None:
        total.backward(create_graph=graph)
