"""Compiled programs against eager ones: on several numbers of threads, and replayed on NumPy."""

from math import prod

import rushlight
from rushlight.backend import native
from rushlight.compiler.run import threads
from rushlight.errors import TraceError
from rushlight.strides import is_dense
from tests.search.programs.comparing import Difference, errors_agree, mismatch
from tests.search.programs.excuses import hides_a_running_product
from tests.search.programs.program import backward, tensor
from tests.search.programs.scopes import address, array_of, eps, gradient, layout

COUNTS = (1, 2, 3, 5)  # of threads


class Outcome:
    """What a call did: results and inputs with their strides and places, or an exception."""

    def __init__(self, function, program):
        names = {"T": rushlight, "tensor": tensor}
        given = {n: eval(x.text, names) for n, x in program.inputs.items()}
        self.error, results = None, []
        try:
            results = function(*given.values())
            if program.backward == "outside":
                backward(rushlight, results[:: program.stride])
        except Exception as error:
            self.error = error
        tensors = {**given, **{f"result {i}": t for i, t in enumerate(results)}}
        self.arrays = {n: array_of(t).copy() for n, t in tensors.items()}
        self.contiguous = {name: t.is_contiguous() for name, t in tensors.items()}
        self.dense = {n: is_dense(t.shape, t.stride(), 1) for n, t in tensors.items()}
        self.looks, places = {}, {}
        for name, t in tensors.items():
            where = address(t)
            shares = name if where is None else places.setdefault(where, name)
            self.looks[name] = (layout(t), t.requires_grad, shares)
        for name, t in given.items():
            slope = gradient(t)
            if slope is not None:
                self.arrays[f"gradient of {name}"] = slope.copy()

    def against(self, want, noise, floor, exactly=False):
        """How the call differs from ``want``: None or a Difference without its stage."""
        if (self.error is None) != (want.error is None):
            return Difference("error", f"{self.error!r} instead of {want.error!r}")
        if self.error is not None and not errors_agree(self.error, want.error):
            return Difference("error", f"{self.error!r} instead of {want.error!r}")
        if self.arrays.keys() != want.arrays.keys():
            return Difference("names", f"{[*self.arrays]} instead of {[*want.arrays]}")
        for name, x in self.arrays.items():
            y = want.arrays[name]
            if exactly:
                wrong = None if x.tobytes() == y.tobytes() else "not the same bits"
            else:
                least = 0.0
                if name.startswith("gradient"):
                    least = max(1.0, floor / eps(y.real.dtype))
                most = max([a.size for a in self.arrays.values()])
                wrong = mismatch(x, y, noise.get(name, ()), least, max(8, most // 30))
            if wrong:
                return Difference("value", f"{name}: {wrong}")
        for name, look in self.looks.items():
            (own, *rest), (strides, *others) = look, want.looks[name]
            contiguous = want.contiguous[name] and not self.contiguous[name]
            if rest != others or contiguous or (want.dense[name] and own != strides):
                words = "(strides, requires_grad, shares memory with)"
                return Difference("looks", f"{name} {words}: {look} instead of {want.looks[name]}")
        return None


def compiled(program, noise, floor, kind=""):
    """Compare the compiled program with the eager one, for several numbers of threads.

    ``floor``: the error allowed in gradients. ``kind``: the only kind of difference that
    is looked for; any where it is empty.
    """
    scope = {"T": rushlight, "F": rushlight.nn.functional, "backward": backward}
    exec(program.source, scope)
    eager = scope["program"]
    want = Outcome(eager, program)
    whole = not any(s.dynamic for s in program.steps)
    if not kind.startswith("replay"):
        function = rushlight.compile(eager, fullgraph=whole)
        first = None
        for count in counts(program, kind):
            threads.resize(count)
            found = Outcome(function, program)
            if isinstance(found.error, TraceError):  # it says what it cannot do: then eagerly
                function = rushlight.compile(eager)
                found = Outcome(function, program)
            first = first or found
            exactly = found is not first
            wrong = found.against(first if exactly else want, noise, floor, exactly)
            if any(
                f"{name}Backward0 saved" in str(found.error)
                for name in ("Attention", "IndexPut", "NllLoss")
            ):
                return None  # docs/differences.md says of what
            if wrong and not hides_a_running_product(program.steps, wrong.text):
                stage = "threads" if exactly else "compiled"
                return Difference(f"{stage} {wrong.kind}", f"{wrong.text} ({count} threads)")
    if kind.startswith(("compiled", "threads")) or (program.seed or 0) % 3:
        return None
    native.COMPILER = "numpy"
    try:
        function = rushlight.compile(eager, fullgraph=whole)
        found = Outcome(function, program)
        if isinstance(found.error, TraceError):
            found = Outcome(rushlight.compile(eager), program)
        wrong = found.against(want, noise, floor)
    finally:
        native.COMPILER = "native"
    return wrong and Difference(f"replay {wrong.kind}", wrong.text)


def counts(program, kind):
    """The numbers of threads to try: all of them where there is work for several."""
    if kind.startswith("compiled"):
        return COUNTS[:1]
    large = any(prod(x.shape) > 1000 for x in program.inputs.values())
    if large or kind or not program.seed:
        return COUNTS
    return COUNTS[0], COUNTS[1 + program.seed % 3]
