"""A program under way: rushlight and PyTorch line by line, then rushlight's compiled programs."""

import os
import re
from math import prod

import numpy as np

import rushlight
from rushlight.compiler.run import threads
from rushlight.errors import TraceError
from rushlight.strides import is_dense
from tests.search.programs.comparing import (
    Difference,
    errors_agree,
    mismatch,
    same_numbers,
    unstable,
)
from tests.search.programs.program import backward, tensor
from tests.search.programs.scopes import (
    ORACLE,
    Scope,
    address,
    array_of,
    eps,
    is_exact,
    layout,
    overlaps,
    strides,
    torch,
)

# PyTorch's words where it has no kernel, or where only our looking (``.numpy()``) stops it.
MISSING = (
    "not implemented for",
    "not supported",
    "unsupported",
    "Promotion for",
    "storage that is not resizable",
    "must have a last dimension with stride 1",  # the gradient of view_as_real of nothing
    "doesn't match the broadcast shape",  # an ``out`` to resize that is an input, too
)
# PyTorch's words where its gradient divides a number by integers in the dtype of these.
MISSING_BACKWARD = (
    "ZeroTensors are immutable",
    "stride divisible by 2",  # of a tensor without elements
    "result type Float can't be cast to the desired output type",
    "Number of groups to divide channels in must be positive",
    "to have non-zero size for non-batch dimensions",
    "is not implemented",
    "trying to differentiate twice",
    "cannot reshape tensor of 0 elements",
    "pixel_shuffle expects",  # of nothing, which pixel_unshuffle leaves as it is
    "returned an invalid gradient",
    "Expected isFloatingType(grad.scalar_type())",  # where() of a complex and a real number
)
# Lines of which PyTorch saves an operand although their gradients need none of its numbers.
SAVED_IN_VAIN = (
    "scatter_reduce(", "return_indices=True", "F.pad(", "T.complex(", "avg_pool", "_mean(", ".take(",
    "rounding_mode=", "grid_sample(", ".cummin(", ".cummax(",
    "F.conv",
)  # fmt: skip
# Lines of which some framework saves the result, or more than the operands.
SAVED = re.compile(
    r"max_pool|attention|sgn\(|_norm\(|_mean\(|prod\(|\.(r?sqrt|exp|tanh|sigmoid|reciprocal)_\("
)
WRITTEN = re.compile(r"([)\]]?)\.(\w+)_\(")
# Lines with the largest of many elements, whose place is any of those that are equal.
CHOICE = re.compile(r"(\w+)\.(topk|kthvalue)\(1, (-?\d+)\)")
LARGEST = 1 << 22  # elements of a value
MANY = 1024  # elements, from which on rushlight keeps equals in order
FLOOR = 16  # of gradients, whose weights are of size 1, in eps
COUNTS = (1, 2, 3, 5)  # of threads


class Session:
    """The scopes of a program; ``noisy`` says how many have noise, ``amount`` how much."""

    def __init__(self, inputs, noisy=2, amount=1.5):
        self.inputs = inputs
        self.ours = Scope(rushlight, inputs)
        self.theirs = Scope(torch, inputs) if torch else self.ours
        self.noisy = [Scope(ORACLE, inputs, amount, k) for k in range(noisy)]
        self.detached = False  # whether a value lost its history in place
        self.has_sinc = False
        self.unsure = set()  # values of which noise makes so much that they may differ
        self.places = ({}, {})  # for each framework: address → the first value there
        for name in inputs:
            self.place(name)

    @property
    def scopes(self):
        found = [self.ours, *self.noisy]
        return [self.theirs, *found] if torch else found

    def add(self, name, x):
        """One more input."""
        for scope in self.scopes:
            scope.add(name, x)
        self.place(name)

    def place(self, name):
        """The first value with the same memory, in each framework."""
        found = []
        for scope, places in zip((self.ours, self.theirs), self.places, strict=True):
            where = address(scope[name])
            found.append(name if where is None else places.setdefault(where, name))
        return found

    def drop(self, step):
        """Forget what a line made."""
        for scope in self.scopes:
            scope.drop(step)
        for places in self.places:
            for where in [w for w, name in places.items() if name in step.makes]:
                del places[where]

    def step(self, step):
        """Run a line in all scopes: None, a Difference, or the word why it is no ground for one."""
        self.detached |= ".detach_()" in step.text
        self.has_sinc |= ".sinc(" in step.text
        theirs = self.theirs.run(step)
        ours = self.ours.run(step) if torch else theirs
        if theirs is not None or ours is not None:
            return self.failed(step, ours, theirs)
        if any(self.theirs[name].numel() > LARGEST for name in step.makes):
            return "unstable"  # it would take too much memory to look at
        if any(scope.run(step) is not None for scope in self.noisy):
            return "unstable"
        try:
            for name in step.makes or self.ours.values:
                found = (torch and self.looks(name, step)) or self.numbers(name, step)
                if found:
                    break
        except (
            RuntimeError
        ) as error:  # PyTorch refuses to look at a part of a split that was written
            if " its base " not in str(error):
                raise
            return "raises"
        if isinstance(found, Difference):
            found.text = f"{step.text}: {name} {found.text}"
        return found

    def reaches_nothing(self, step):
        """Whether what a line makes, or the part that it writes, has no elements."""
        part, mark, _ = step.text.partition(".index_")
        if not mark or step.makes:
            part = step.writes or step.makes[0]
        return not eval(part, self.theirs.names).numel()

    def failed(self, step, ours, theirs):
        if isinstance(ours, AttributeError | NotImplementedError | MemoryError):
            return "missing"  # docs/coverage.md says so; or so large is no result that is looked at
        if lacks(theirs) or "INTERNAL ASSERT FAILED" in str(theirs):
            return "missing"
        if "view size is not compatible" in str(theirs) and ".view(" not in step.text:
            return "missing"  # PyTorch means a view of its own
        if "out of bounds for storage" in str(ours) and self.has_more_storage(step):
            return "missing"
        if "multiple views" in str(theirs) and is_exact(self.theirs.array(step.writes).dtype):
            return "missing"  # no gradient goes to integers, whatever is written there
        if ours is not None and theirs is not None:
            if errors_agree(ours, theirs):
                return "raises"
            return Difference("error", f"{step.text}: {ours!r} instead of {theirs!r}")
        if "out of bounds for dim" in str(ours) and (
            "size 0" in str(ours) or self.reaches_nothing(step)
        ):
            return "missing"  # PyTorch does not look at indices where nothing is written
        if "stride divisible by 2" in str(theirs) and not self.theirs[step.uses[0]].numel():
            return "missing"  # of nothing
        if "index 0 out of range for tensor of size [0]" in str(theirs):
            return "missing"  # PyTorch's batch_norm of no channels
        if "is too small" in str(ours) and not any(self.theirs[n].numel() for n in step.makes):
            return "missing"  # in bfloat16 PyTorch has convolutions of no size
        if "detach views" in f"{ours}{theirs}" and self.has_own_base(step.writes):
            return "missing"  # one of the two made it as a view of what nobody else has
        if ours is None:
            return Difference("no error", f"{step.text} instead of {theirs!r}")
        return Difference("error", f"{step.text}: {ours!r}")

    def has_own_base(self, name):
        """Whether no value is what ``name`` is a view of, in either framework."""
        bases = [(scope, scope[name]._base) for scope in (self.ours, self.theirs)]
        return not any(base is scope[n] for scope, base in bases for n in scope.values)

    def has_more_storage(self, step):
        """Whether PyTorch keeps more memory than an operand needs, from what it was made in."""
        used = [n for n in step.uses if n in self.theirs.values]
        nbytes = lambda scope, n: scope[n].untyped_storage().nbytes()
        return any(nbytes(self.theirs, n) > nbytes(self.ours, n) for n in used)

    def looks(self, name, step):
        """How a value differs from PyTorch's before its numbers are looked at; None if it doesn't."""
        x, y = self.ours[name], self.theirs[name]
        if y.requires_grad and is_exact(self.theirs.array(name).dtype):
            return "missing"  # an integer has no gradient, but fill_ lets it require one
        if self.detached and y.requires_grad and not x.requires_grad:
            return "missing"  # a view of what was detached and written; its gradient goes nowhere
        for what in ("dtype", "shape", "requires_grad", "is_leaf"):
            found, want = str(getattr(x, what)), str(getattr(y, what))
            if found.removeprefix("torch.Size") != want.removeprefix("torch.Size"):
                return Difference(what, f"has {what} {found} instead of {want}")
        if strides(x) != strides(y):
            names = [n for n in step.uses if n in self.theirs.values]
            operands = [scope[n] for n in names for scope in (self.ours, self.theirs)]
            if any(map(overlaps, operands)):
                return "missing"  # PyTorch's order is nothing to rely on
            if layout(x) == layout(y):
                return "missing"  # a dim of size 1; docs/differences.md says of what
            text = f"of shape {tuple(x.shape)} has strides {x.stride()} instead of {y.stride()}"
            return Difference("strides", text)
        found, want = self.place(name)
        if found != want:
            return Difference("aliasing", f"shares memory with {found} instead of {want}")
        return None

    def shows_nan(self, name):
        """Whether a value looks at the bytes of another's nan, of which there are many."""
        where, dtype = address(self.theirs[name]), self.theirs[name].dtype
        for other in self.theirs.values:
            x = self.theirs[other]
            if x.dtype != dtype and address(x) == where and bool(x.detach().isnan().any()):
                return True
        return False

    def copies_sign(self, step):
        """Whether a line takes the sign of a nan."""
        arrays = [self.theirs.array(n) for n in step.uses if n in self.theirs.values]
        return "copysign" in step.text and any(bool((x != x).any()) for x in arrays)

    def equally_large(self, name, step):
        """Whether a value has places of many elements that are as large as PyTorch's."""
        chosen = CHOICE.search(step.text)
        if not chosen or name != step.makes[1] or self.ours[chosen[1]].numel() < MANY:
            return False
        x, index, d = self.ours[chosen[1]], self.ours[name], int(chosen[3])
        index = index if chosen[2] == "topk" else index.unsqueeze(d)
        wanted = self.ours[step.makes[0]].reshape(index.shape)
        return bool(rushlight.isclose(x.take_along_dim(index, d), wanted, 0, 0, True).all())

    def numbers(self, name, step):
        """How the numbers of a value differ; ours takes over PyTorch's bits where they don't."""
        found, want = self.ours.array(name), self.theirs.array(name)
        noisy = [s.array(name) for s in self.noisy]
        if unstable(want, noisy):
            memory = lambda n: self.theirs[n].untyped_storage().data_ptr()
            self.unsure |= {n for n in self.theirs.values if memory(n) == memory(name)}
            return "unstable"
        most = max([self.ours[n].numel() for n in step.uses if n in self.ours.values], default=0)
        if self.copies_sign(step):
            return "unstable"
        wrong = mismatch(found, want, noisy, digits=max(8, most // 30))
        if wrong and (self.shows_nan(name) or overflows(step, want, found)):
            return "unstable"
        if wrong and not self.equally_large(name, step):
            return Difference("value", f"is {wrong}")
        if found.tobytes() != want.tobytes():
            with np.errstate(all="ignore"):
                self.ours[name].array[...] = want
        return None

    # The end --------------------------------------------------------------------------------

    def changed(self):
        """A value that lines changed which do not write to it: None or a Difference."""
        for name in self.ours.values:
            found, want = self.ours.array(name), self.theirs.array(name)
            if name not in self.unsure and not same_numbers(found, want):
                return Difference("changed", f"{name} is {found} instead of {want} at the end")
        return None

    def gradients(self, outputs, steps=(), graph=False, keep=False):
        """Compare the gradients of both frameworks: None, a Difference, or a word.

        ``graph``: rushlight's are to have a graph; ``keep``: so are all others'.
        """
        if hides_writes(steps) or self.writes_overlapping(steps):
            return "unstable"
        return self.slopes(steps, lambda s: s.backward(outputs, keep or (graph and s is self.ours)))

    def second_gradients(self, steps):
        """Compare the gradients of second order, where the first were kept."""
        leaves = [name for name, x in self.inputs.items() if x.grad]
        return self.slopes(steps, lambda s: s.backward_again(leaves), again=True)

    def slopes(self, steps, run, again=False):
        """Compare what ``run``, a way to go backward, leaves in the leaves of each scope."""
        for scope in self.noisy[:1]:
            scope.watch()
        theirs = run(self.theirs)
        ours = run(self.ours) if torch else theirs
        if theirs is not None or ours is not None:
            if lacks(theirs) or any(m in str(theirs) for m in MISSING_BACKWARD):
                return "missing"
            if saves_otherwise(ours, theirs, steps, self.theirs):
                return "missing"
            if ours is None or theirs is None or not errors_agree(ours, theirs):
                return Difference("backward", f"{ours!r} instead of {theirs!r}")
            return "raises"
        if any(run(scope) is not None for scope in self.noisy):
            return "unstable"
        if not torch:
            return None
        for name in self.inputs:
            found, want = gradient(self.ours[name]), gradient(self.theirs[name])
            if (found is None) != (want is None):
                if again and np.abs(found if want is None else want).max(initial=0) < 1e-5:
                    continue  # where a slope is constant, one has no gradient and one zeros
                return Difference("gradient", f"of {name}: {found} instead of {want}")
            if want is None or spoils(steps, found, want, again) or self.squares_integers(steps):
                continue
            # Of second order PyTorch often has 0 times infinity, as where 0 / 0 is masked; what it
            # multiplies with infinity is a sum in its formulas, which may be one of several here.
            if again:
                both = np.isinf(want) & np.isnan(found)
                found = np.where(np.isnan(want) | both, want, found)
            noisy = [gradient(s[name]) for s in self.noisy]
            floor = FLOOR * 16 if again else self.floor
            digits = 8 * max(1.0, self.coarsest() / eps(want.real.dtype))
            noisy = [g for g in noisy if g is not None]
            wrong = mismatch(found, want, noisy, floor, digits)
            if wrong:
                return Difference("gradient", f"of {name}: {wrong}")
        return None

    def squares_integers(self, steps):
        """Whether PyTorch's slope of atan2 squares integers, which may wrap, as they are."""
        used = [n for s in steps if "atan2(" in s.text for n in s.uses if n in self.theirs.values]
        return any(is_exact(self.theirs.array(n).dtype) for n in used)

    @property
    def floor(self):
        """The error of a gradient, in eps: that of its weights, and of what may cancel in it.

        The terms of the slope of sinc are 1 / x, and cancel where x is small.
        """
        steepest = max([s.steepest for s in self.noisy], default=0.0)
        return FLOOR + 4 * steepest + 1000 * self.has_sinc

    def coarsest(self):
        """The eps of the dtype that rounds most, of those that gradients may have passed."""
        arrays = [self.theirs.array(n) for n in self.theirs.values if self.theirs[n].requires_grad]
        return max([eps(a.real.dtype) for a in arrays if not is_exact(a.dtype)], default=0.0)

    def writes_overlapping(self, steps):
        """Whether a leaf with several elements in one place was written past its history."""
        hidden = any(word in s.text for s in steps for word in (".detach()", ".data", "no_grad"))
        return hidden and any(overlaps(self.theirs[n]) for n, x in self.inputs.items() if x.grad)

    def noise(self, outputs):
        """What noise made of each result, input and gradient, for the compiled program."""
        found = {}
        for i, name in enumerate(outputs):
            found[f"result {i}"] = [s.array(name) for s in self.noisy]
        for name in self.inputs:
            found[name] = [s.array(name) for s in self.noisy]
            slopes = [gradient(s[name]) for s in self.noisy]
            found[f"gradient of {name}"] = [g for g in slopes if g is not None]
        return found


def overflows(step, want, found):
    """Whether a product is infinite, 0 or infinity times 0, as the order of its factors has it.

    PyTorch's complex 0 ** 0 is such a product; and it divides by a denormal number in its fmod.
    """
    whole = np.isfinite(found) & np.isfinite(want)
    other = bool((np.isnan(found) != np.isnan(want)).any())
    other |= "prod(" in step.text and bool((((found == 0) != (want == 0)) & whole).any())
    return other and (
        "prod(" in step.text
        or "fmod(" in step.text
        or (" ** " in step.text and want.dtype.kind == "c")
    )


def spoils(steps, found, want, again):
    """Whether PyTorch's gradient, of second order where ``again``, is nothing to rely on."""
    uses = lambda *words: any(word in s.text for s in steps for word in words)
    # Its vectors make 0 of the gradient at nan, its numbers nan.
    if uses("logit(0.01)") and np.isnan(found).any():
        return True
    # The gradient of sgn is a zero that stays one where it is multiplied by nan.
    if uses(".sgn()") and np.isnan(found).any():
        return True
    # Its sign of a denormal complex number is infinite, and its slope has few digits near 0.
    if uses("polar(") and (again or not np.isfinite(want).all()):
        return True
    # Of equal operands its terms cancel to the last bit.
    if uses("atan2(") and np.allclose(found, want, rtol=1e-3, atol=1e-6):
        return True
    # It computes trigamma to nine digits, and rounds each step in half precision.
    # The second slope of its sinc is 0 at 0, that of its prelu is the other side's.
    if again and (
        uses("lgamma(", "i0(", "sinc(", "prelu(")
        or (np.isnan(want).any() and want.dtype == "float16")
    ):
        return True
    # It multiplies what is infinite, in half precision soon, by 0.
    if uses("interpolate(", ".norm(3", " ** ") and np.isnan(want).any():
        return True
    # Where a slope is nan, so is that of a later key, whose weight is 0.
    if uses("is_causal=True") and np.isnan(want).any():
        return True
    # Where a factor is 0, it leaves out the later products, whose slope may be nan.
    if uses("cumprod(") and np.isnan(found).any():
        return True
    # Outside of the image the slope of a point is 0, which it multiplies.
    if uses("grid_sample(") and np.isnan(want).any():
        return True
    # The terms of a mean of equal operands cancel but for the rounding of each.
    if uses("lerp(") and want.dtype.itemsize == 2:
        return True
    # Near 0 the terms of the slope of sinc are large and cancel.
    if uses("sinc(") and np.allclose(found, want, rtol=1e-3, atol=1e-4):
        return True
    # It rounds the slope to the dtype of another operand.
    return uses("T.addc", ".addc") and np.allclose(found, want, 1e-2, 1e-2, equal_nan=True)


def hides_writes(steps):
    """Whether ``.data`` is written beside lines of which the frameworks save other values.

    Nobody sees such a write, so each framework's gradient is of what it happened to save.
    """
    lines = [s.text for s in steps]
    return any(map(SAVED.search, lines)) and any(".data" in t for t in lines)


def saves_otherwise(ours, theirs, steps, scope):
    """Whether only one framework refuses a write to what it saved; the other does without.

    PyTorch copies batches of several dims where their memory is not that of one dim.
    """
    if (ours is None) == (theirs is None) or "inplace operation" not in f"{ours}{theirs}":
        return False
    if ours is None:  # what is written through a view is another value's copy
        names = [
            name for s in steps for view, name in WRITTEN.findall(s.text)
            if view or scope[s.writes]._is_view()
        ]  # fmt: skip
        return any(f"output 0 of {name}," in str(theirs).lower() for name in names) or any(
            word in s.text for s in steps for word in SAVED_IN_VAIN
        )
    # Theirs copies operands that rms_norm converts, and saves what cross_entropy makes of its
    # input; ours wants the input itself for a gradient with a graph.
    if "NllLossBackward0 saved 'x'" in str(ours) or any("F.rms_norm(" in s.text for s in steps):
        return True
    # Theirs goes no further with an attention of no queries, ours multiplies nothing.
    attentions = [s for s in steps if "scaled_dot_product_attention(" in s.text]
    if any(not scope[n].numel() for s in attentions for n in s.uses):
        return True
    products = [s for s in steps if " @ " in s.text or "matmul(" in s.text]
    linear = [s for s in steps if "F.linear(" in s.text]
    return any(scope[n].ndim > 3 for s in products for n in s.uses) or any(
        scope[n].ndim > 2 for s in linear for n in s.uses
    )


def lacks(error):
    """Whether PyTorch raised for want of a kernel."""
    return isinstance(error, NotImplementedError) or any(m in str(error) for m in MISSING)


def gradient(t):
    if not t.is_leaf or t.grad is None:
        return None
    return array_of(t.grad)


# Compiled -----------------------------------------------------------------------------------


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
            if wrong:
                stage = "threads" if exactly else "compiled"
                return Difference(f"{stage} {wrong.kind}", f"{wrong.text} ({count} threads)")
    if kind.startswith(("compiled", "threads")) or (program.seed or 0) % 3:
        return None
    os.environ["RUSHLIGHT_COMPILER"] = "numpy"
    try:
        function = rushlight.compile(eager, fullgraph=whole)
        found = Outcome(function, program)
        if isinstance(found.error, TraceError):
            found = Outcome(rushlight.compile(eager), program)
        wrong = found.against(want, noise, floor)
    finally:
        del os.environ["RUSHLIGHT_COMPILER"]
    return wrong and Difference(f"replay {wrong.kind}", wrong.text)


def counts(program, kind):
    """The numbers of threads to try: all of them where there is work for several."""
    if kind.startswith("compiled"):
        return COUNTS[:1]
    large = any(prod(x.shape) > 1000 for x in program.inputs.values())
    if large or kind or not program.seed:
        return COUNTS
    return COUNTS[0], COUNTS[1 + program.seed % 3]


def check(program, noisy=2, amount=1.5, kind=""):
    """The first difference of a program, or None; ``kind`` as in ``compiled``."""
    session = Session(program.inputs, noisy, amount)
    for step in program.steps:
        found = session.step(step)
        if isinstance(found, Difference):
            return found
        if found in ("missing", "raises"):
            return None
    return finish(session, program, kind)


def confirmed(program, found):
    """Whether a difference is there with more noise taken into account, too."""
    again = check(program, noisy=12, amount=4.0, kind=found.kind)
    return again is not None and again.kind == found.kind


def finish(session, program, kind=""):
    """Gradients, and the compiled program, once the lines have run."""
    found = session.changed()
    if found is not None:
        return found
    if kind and " " not in kind and kind not in ("gradient", "backward"):
        return None
    if program.backward:
        ends = program.outputs[:: program.stride]
        found = session.gradients(ends, program.steps, program.graph, program.twice)
        if isinstance(found, Difference):
            return found
        if found is not None:  # it raises in both frameworks, or noise makes too much of it
            return None
    wrong = None
    if kind not in ("gradient", "backward"):
        floor = session.floor * session.coarsest()
        wrong = compiled(program, session.noise(program.outputs), floor, kind)
    if wrong is None and program.backward and program.twice:
        found = session.second_gradients(program.steps)
        wrong = found if isinstance(found, Difference) else None
    return wrong
