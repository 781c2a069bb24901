"""A program under way: rushlight and PyTorch line by line, then rushlight's compiled programs."""

import re

import numpy as np

import rushlight
from tests.search.programs.comparing import (
    Difference,
    errors_agree,
    mismatch,
    same_numbers,
    unstable,
)
from tests.search.programs.compiled import compiled
from tests.search.programs.excuses import (
    MISSING_BACKWARD,
    hides_writes,
    lacks,
    overflows,
    saves_otherwise,
    spoils,
)
from tests.search.programs.scopes import (
    ORACLE,
    Scope,
    address,
    eps,
    gradient,
    is_exact,
    layout,
    overlaps,
    strides,
    torch,
    wide,
)

# Lines with the largest of many elements, whose place is any of those that are equal.
CHOICE = re.compile(r"(\w+)\.(topk|kthvalue)\(1, (-?\d+)\)")
LARGEST = 1 << 22  # elements of a value
MANY = 1024  # elements, from which on rushlight keeps equals in order
FLOOR = 16  # of gradients, whose weights are of size 1, in eps


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
        word = None
        try:
            for name in step.makes or self.ours.values:
                found = (torch and self.looks(name, step)) or self.numbers(name, step)
                if isinstance(found, Difference):
                    found.text = f"{step.text}: {name} {found.text}"
                    return found
                word = word or found
        except RuntimeError as error:
            # PyTorch refuses to look at a part of a split that was written.
            if " its base " not in str(error):
                raise
            return "raises"
        return word

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

    def subtracts_infinities(self, step):
        """Whether dist gets complex infinities: PyTorch's difference multiplies them by 1 + 0j."""
        arrays = [self.theirs.array(n) for n in step.uses if n in self.theirs.values]
        kinds = {x.dtype.kind for x in arrays}
        return "T.dist(" in step.text and "c" in kinds and any(np.isinf(x).any() for x in arrays)

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
        if self.copies_sign(step) or self.subtracts_infinities(step):
            return "unstable"
        # PyTorch's variances are updated number by number, so their errors grow with the count. Those
        # of single precision are computed in double.
        updated = re.search(r"\.(var|std)(_mean)?\(", step.text) and want.dtype == np.float64
        grows = 1 if updated else 30
        # The terms of an interpolation may cancel; PyTorch rounds them together.
        terms = self.largest([step], "quantile(", 1.0)
        wrong = mismatch(found, want, noisy, terms, max(8, most // grows))
        if wrong and (self.shows_nan(name) or overflows(step, want, found)):
            return "unstable"
        if wrong and not self.equally_large(name, step):
            return Difference("value", f"is {wrong}")
        if found.tobytes() != want.tobytes():
            with np.errstate(all="ignore"):
                self.ours[name]._array[...] = want
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
            if want is None or spoils(steps, found, want, again) or self.wraps_integers(steps):
                continue
            if self.picks_of_equals(steps):
                continue
            # Of second order PyTorch often has 0 times infinity, as where 0 / 0 is masked; what it
            # multiplies with infinity is a sum in its formulas, which may be one of several here.
            if again:
                both = np.isinf(want) & np.isnan(found)
                found = np.where(np.isnan(want) | both, want, found)
            noisy = [gradient(s[name]) for s in self.noisy]
            floor = self.floor(steps, again)
            digits = 8 * max(1.0, self.coarsest() / eps(want.real.dtype))
            noisy = [g for g in noisy if g is not None]
            wrong = mismatch(found, want, noisy, floor, digits)
            if wrong:
                return Difference("gradient", f"of {name}: {wrong}")
        return None

    def wraps_integers(self, steps):
        """Whether PyTorch's slopes multiply integers as they are: squares, or by a ``value``."""
        lines = [s for s in steps if any(word in s.text for word in ("atan2(", "addcmul"))]
        used = [n for s in lines for n in s.uses if n in self.theirs.values]
        return any(is_exact(self.theirs.array(n).dtype) for n in used)

    def picks_of_equals(self, steps):
        """Whether PyTorch sorted many equal numbers: how it does says whose slope it is."""
        picks = [s for s in steps if "quantile(" in s.text or ".mode(" in s.text]
        used = {n for s in picks for n in s.uses if n in self.theirs.values}
        arrays = [self.theirs.array(n) for n in used]
        return any(x.size >= MANY and np.unique(x).size < x.size for x in arrays)

    def floor(self, steps, again=False):
        """The error of a gradient, in eps: that of its weights, and of what may cancel in it.

        The terms of the slope of sinc are 1 / x, and cancel where x is small. So are those of the
        second slopes of atan2, 1 / x², where one value is both operands.
        """
        if again:
            return FLOOR * 16 + 4 * self.largest(steps, "atan2(", -2.0)
        steepest = max([s.steepest for s in self.noisy], default=0.0)
        sinc = 4 * self.largest(steps, ".sinc(", -1.0)
        return FLOOR + 4 * steepest + max(sinc, 1000 * self.has_sinc)

    def largest(self, steps, call, power):
        """The largest finite power of a number that a call got, as far as it is still there."""
        used = {n for s in steps if call in s.text for n in s.uses if n in self.theirs.values}
        with np.errstate(all="ignore"):
            terms = [np.abs(wide(self.theirs.array(n))) ** power for n in used]
        return max([t[np.isfinite(t)].max(initial=0.0) for t in terms], default=0.0)

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
        floor = session.floor(program.steps) * session.coarsest()
        wrong = compiled(program, session.noise(program.outputs), floor, kind)
    if wrong is None and program.backward and program.twice:
        found = session.second_gradients(program.steps)
        wrong = found if isinstance(found, Difference) else None
    return wrong
