"""The Python function around a program: checks, the run, results and other effects of one call.

The function is written line by line from a recorded call. It checks that a call is like the
recorded one, runs the program on the call's arrays, makes the results from the program's outputs,
and repeats the other effects of the recorded call.
"""

from contextlib import ExitStack
from functools import partial
from typing import Any

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.autograd.write import stamp
from rushlight.compiler.calls.arguments import Arguments, check_array
from rushlight.compiler.calls.deferred import Deferred
from rushlight.compiler.calls.escapes import assignments, kept_outside
from rushlight.compiler.calls.gradient import gradients
from rushlight.compiler.calls.guard import (
    GONE,
    MISS,
    Source,
    demand_modes,
    demand_precision,
    demand_there,
)
from rushlight.compiler.calls.hooks import hook_place
from rushlight.compiler.calls.persistent_inputs import Held
from rushlight.compiler.calls.results import Results
from rushlight.compiler.calls.shared_inputs import demand_apart, refuse_made, refuse_shared, shares
from rushlight.compiler.capture.inputs import Grad, key_of
from rushlight.compiler.capture.simplify import alive, operands
from rushlight.compiler.capture.symbolic_numbers import SymbolicNumber
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.python.locations import NOTHING, getter, in_words
from rushlight.compiler.run.program import make_program
from rushlight.errors import TraceError
from rushlight.locks import new_lock
from rushlight.remote import device_of
from rushlight.tensor import Tensor

__all__ = ["Wrapper"]


class Wrapper:
    """The Python function for one recorded call, while it is written.

    Args:
        function: The user's function.
        args, kwargs: The arguments of the recorded call.
        moving: Whether floats among the arguments may differ in each call.
        audit: The ``Audit`` of the program, or None.

    Attributes:
        source: The lines of the function.
        arguments: The ``Arguments`` of the call.
        program: The recorded program; None if the written function calls the user's function.
        held: The program's inputs that stay in place between runs.
        recordings: (equations, inputs, outputs, writes) of the call, and then of its gradient.
        shares: Whether, in this call, two tensors from outside look at one memory.
        begun: The number of lines before those that make results and repeat other effects.
    """

    def __init__(self, function, args, kwargs, moving=False, audit=None):
        self._function = function
        self.source = Source("def call(args, kwargs):")
        self.arguments = Arguments(self.source, args, kwargs, moving)
        self.program: Any = None
        self.held: Any = None
        self.recordings: list = []
        self.begun = 0
        self.shares = False
        self._audit = audit
        demand_modes(self.source)

    def run_eagerly(self, recorder, refusal):
        """Write a function that calls the user's function, for calls that lead to ``refusal``."""
        self._weak = recorder.observer.reads.weak
        self._check([*recorder.observer.reads.conditions, *recorder.checks])
        pair = getattr(refusal, "pair", None)
        if pair is not None:
            x, y = [self.arguments.expression(t) or self.source.name(t) for t in pair]
            self.source.demand(f"{self.source.name(shares)}({x}._array, {y}._array)")
        self.source.line(f"return {self._eager}")

    def write(self, box, recorder, set_anew, late, grad):
        """Write the function's lines, and make the program, from the recording.

        Args:
            box: A list with the function's result. The list is emptied, so that no other reference
                to a tensor of the trace is left.
            recorder: The recorder of the call.
            set_anew: (object, template, value) of the function's assignments; is emptied, too.
            late: A function that gives, in this form, the assignments made since then.
            grad: Whether grad mode was on when the function returned.
        """
        source = self.source
        self._weak = recorder.observer.reads.weak
        self._escaped: set = set()  # places where ``escapes.assignments`` found tensors
        places = {(template, id(owner)) for owner, template, _ in set_anew}
        results = Results(source, self.arguments, recorder)
        gives = results.expression(box.pop())
        calls = Deferred(source, recorder, results)
        recorder.settle_moved()
        grads, effects = self._gradients(recorder, results)
        written, flags = self._histories(recorder)
        recorder.restore()
        early, late_effects = self._assignments(recorder, results, set_anew, calls)
        effects += early
        results.settle()
        outs = [(n, t.node, t._array) for n, t in zip(results.names, results.tensors, strict=True)]
        outs += results.others + written
        backward, refused = gradients(recorder, outs)
        if backward is not None:
            self.recordings.append(backward.recording)
        if backward is not None or refused:
            collect = recorder.observer.origins.collect
            self._refuse_late(late, lambda: assignments(recorder.made, results.tensors, collect))
        self._tell_apart([*recorder.observer.reads.conditions, *recorder.checks])
        self._check(self._movable(recorder, places))
        self._numbers(recorder)
        saved = self._make(recorder, results, grads, backward, calls)
        for line in (*results.new, *flags):
            source.line(line)
        if backward is not None:
            self._attach(backward, outs, saved)
        for r in refused:
            if r.is_fixed:
                out, made = outs[r.out][0], source.name(r)
                source.line(f"{out}.node = {made}.node or {made}.first_node({out})")
            else:
                attach, parents = source.name(r.attach), self._parents(r)
                source.line(f"{attach}({outs[r.out][0]}, [{parents}])")
        for line in (*results.shared, *results.made, *effects, *calls.last, *late_effects):
            source.line(line)
        if grad is not mode.state.grad:
            source.line(f"mode.set_grad({grad})")
        source.line("if audit.began: audit.end()")
        source.line(f"return {gives}")

    def _make(self, recorder, results, grads, backward, calls):
        """Make the program and write the lines that run it.

        Returns (array, cell) expressions of the values that the gradient saves.
        """
        source = self.source
        equations = recorder.equations[: None if backward is None else backward.start]
        changed = {recorder.captured[k].value.id: recorder.outer[k].value for k in recorder.written}
        changed |= {place.id: value for _, place, value in grads}
        saves = [] if backward is None else backward.kept(changed)
        read = [*results.values, *saves, *changed.values()]
        used = changed.keys() | {v.id for v in read if isinstance(v, Abstract)}
        used |= {v.id for e in alive(equations, read, checking=True) for v in operands(e)}
        fresh = self._fresh(recorder, used)
        refuse_shared([c for c in recorder.captured.values() if c.value.id in used], changed)
        refuse_made(recorder)
        # Tensors that are only returned or assigned can be replaced, too, so they are kept.
        named = {c.value.id for c in recorder.captured.values() if source.name_of(c.tensor)}
        kept = [c for c in recorder.captured.values() if c.value.id in used | named and _stays(c)]
        lives = [live for live in recorder.lives if live.value.id in used]
        slots = [(leaf, place) for leaf, place, _ in grads]
        self._demand_no_hooks([leaf for leaf, *_ in recorder.grads.values()])
        tensors = [c.tensor for c in kept if c.get is None]
        owners = [*recorder.modules.values(), *recorder.stepped]
        recorder.places.append(hook_place(owners, tensors))
        held = [i for i, c in enumerate(kept) if c.value.id in changed]
        written = [name for name, c in fresh.items() if c.value.id in changed]
        self.held = Held(kept, lives, slots, recorder.places, source, bool(written))
        self._follow(kept, recorder)
        self._check(self._of_moved)
        demand_apart(source, fresh, written, held, len(kept))
        inputs = [c.value for c in (*fresh.values(), *kept)]
        inputs += [live.value for live in lives] + [place for _, place in slots]
        names = self._tensor_names(fresh, kept)
        saved, more = [], []
        if backward is not None:
            unwritten = {k: v for k, v in names.items() if k not in changed}
            saved, more = self._saved(saves, results, unwritten)
        writes = [(i, changed[v.id]) for i, v in enumerate(inputs) if v.id in changed]
        self.shares = recorder.shares
        self.recordings.insert(0, (equations, inputs, [*results.values, *more], writes))
        if not recorder.auditing:
            self.program = make_program(*self.recordings[0])
            if getattr(self.program, "devices", ()):
                demand_precision(source)
        self._run(fresh, names, changed, calls)
        return saved

    def _demand_no_hooks(self, leaves):
        """Add guards that no argument among ``leaves`` has hooks for its gradient."""
        for leaf in leaves:
            name = self.arguments.expression(leaf)
            if name is not None and leaf.node and leaf.node.hooks:
                raise TraceError(
                    "an argument has a hook for its gradient, which a program cannot run for the "
                    "arguments of other calls; call backward() outside torch.compile"
                )
            if name is not None:
                self.source.demand(f"not {name}.node or not {name}.node.hooks")

    def _run(self, fresh, names, changed, calls):
        source, held = self.source, self.held
        source.names.update(program=self.program, held=held, stamp=stamp, audit=self._audit)
        source.line("audit.left -= 1")
        source.line("if not audit.left: audit.pass_or_raise(args, kwargs)")
        written = [i for i, (_, v) in enumerate(held.captured) if v.id in changed]
        with ExitStack() as blocks:
            if any(live.number is not None for live in held.lives):
                # The numbers' arrays are shared, and other threads may call with other numbers.
                lock = source.name(new_lock())
                blocks.enter_context(source.block(f"with {lock}:"))
            calls.add_first(source, held, self._eager)
            for c in fresh.values():
                if c.value.id in changed:
                    source.line(f"stamp({names[c.value.id][1]})")
            if written or held.slots:
                source.line("held.begin()")
            with source.block("try:"):
                source.line(f"found = program.run([{', '.join(fresh)}], held.arrays)")
            with source.block("except BaseException as error:"):
                if written or held.slots:
                    source.line("held.fail(error)")
                if calls.first:
                    source.line("back()")
                source.line("if not getattr(error, 'came_first', False): raise")
                source.line("found = None")
        # The program failed before its first write, so the user's function can run eagerly.
        source.line(f"if found is None: return {self._eager}")
        held.note_written(written)
        if held.slots:
            source.line("for slot in held.slots: slot.leaf._grad = slot.tensor")
        self.begun = len(source.lines)

    @property
    def _eager(self):
        return f"{self.source.name(self._function)}(*args, **kwargs)"

    # Effects ----------------------------------------------------------------------------

    def _gradients(self, recorder, results):
        """The gradients that the call leaves in leaves outside.

        Returns (leaf, place, value) of gradients that the program keeps in place (``Slot``), and
        lines that assign the others.
        """
        grads, lines = [], []
        for leaf, before, read in recorder.grads.values():
            now = leaf._grad
            if now is before and read:
                continue
            if results.has_slot(leaf):
                place = Abstract(now._array.shape, now._array.dtype, None, device_of(now))
                grads.append((leaf, place, recorder.value(now)))
            else:
                given = "None" if now is None else results.expression(now)
                lines.append(f"{results.outer(leaf)}._grad = {given}")
        return grads, lines

    def _histories(self, recorder):
        """The outer tensors whose history the function changed.

        Returns (name, node, array) of tensors with a new history, and lines that set
        ``requires_grad`` of leaves as the function did.
        """
        found, flags = [], []
        for tensor, before in recorder.nodes.values():
            now = tensor.node
            views = [t for t in self.arguments.leaves if t.view_of and t.view_of.root is tensor]
            if now is not before and views:
                raise TraceError(
                    "an argument that is a view of a tensor that requires grad, or gets to, is "
                    "written inside torch.compile; give the whole tensor"
                )
            if now is before:
                continue
            if now is None and type(before) is not Leaf:
                raise TraceError(
                    "the function takes the history of a tensor from outside, which a program "
                    "cannot do again; give it a detach()"
                )
            name = self.arguments.expression(tensor) or self.source.name(tensor)
            if now is None or type(now) is Leaf:
                flags.append(f"{name}.requires_grad_({now is not None})")
            else:
                found.append((name, tensor.node, tensor._array))
        return found, flags

    def _assignments(self, recorder, results, set_anew, calls):
        """The lines that repeat the function's assignments to attributes, dicts and closures.

        Returns (lines before the deferred calls that follow the program, lines after these calls).
        """
        lines: list = []
        late: list = []
        collect = recorder.observer.origins.collect
        while set_anew:  # emptied step by step, so that the list keeps no tensor of the trace alive
            owner, target, value = set_anew.pop(0)
            if not results.can_set(value):
                what = f"changes {in_words(target)} to a {type(value).__name__}"
                if value is NOTHING:
                    what = f"deletes {in_words(target)}"
                raise TraceError(
                    f"the function {what}, which a program cannot do again; keep it in a tensor, "
                    "or change it outside torch.compile"
                )
            after = calls.precede(recorder.observer.effects, owner, target)
            line = f"{self._target(owner, target)} = {results.expression(value)}"
            (late if after else lines).append(line)
            del value
        results.forget()
        for owner, target, tensor in assignments(recorder.made, results.asked, collect):
            if not recorder.observer.origins.is_outer(owner):
                raise kept_outside(owner, tensor)
            lines.append(f"{self._target(owner, target)} = {results.expression(tensor)}")
            self._escaped.add((id(owner), target))
        return lines, late

    def _refuse_late(self, *ways):
        """Raise TraceError if hooks that ran for the gradient left something outside.

        ``ways`` are functions that find what was left. Assignments of the function itself do not
        count: their places are in ``_escaped``, or they have been taken back.
        """
        for left in ways:
            for owner, target, *_ in left():
                if (id(owner), target) not in self._escaped:
                    raise TraceError(
                        f"a hook changes {in_words(target)} when the gradient is computed, which "
                        "comes after the call; have backward() inside torch.compile too"
                    )

    def _target(self, owner, template):
        return template.format(self.arguments.owner(owner) or self.source.name(owner))

    # Guards -----------------------------------------------------------------------------

    def _check(self, checks):
        """Add guards that all values that the function read outside are the same."""
        source = self.source
        conditions = {}
        for template, objects, value in checks:
            expression = f"({template.format(*map(self._named, objects))})"
            if expression not in conditions:
                argument = self.arguments.expression(value) or self.arguments.owner(value)
                same = f"{expression} is {argument}" if argument else None
                conditions[expression] = same or source.same(expression, value)
        if conditions:
            with source.block("try:"):
                for condition in conditions.values():
                    source.demand(condition)
            source.line(f"except {GONE}: return MISS")

    def _named(self, x):
        """The name of an object in the lines. An argument is named as an argument of each call."""
        given = self.arguments.expression(x) or self.arguments.owner(x)
        if given is None and id(x) in self._weak:
            return f"{self.source.name(self._weak[id(x)])}()"
        return given or self.source.name(x)

    def _tell_apart(self, checks):
        """Add guards that no argument is a tensor that the function also finds outside."""
        outer = {id(v): v for *_, v in checks if isinstance(v, Tensor)}
        for v in outer.values():
            if type(v._array) is Abstract or self.arguments.expression(v):
                continue
            for i, t in enumerate(self.arguments.leaves[: self.arguments.given]):
                if (v._array.shape, v._array.dtype) == (t._array.shape, t._array.dtype):
                    self.source.demand(f"t{i} is not {self.source.name(v)}")

    def _numbers(self, recorder):
        """Add the lines that read the numbers that change, and compute with them in Python."""
        source, numbers = self.source, recorder.numbers
        for key, number in recorder.observer.effects.stand_ins.items():
            if type(number) is not SymbolicNumber:
                continue
            owner, template, value = recorder.observer.effects.places[key]
            name = number.name
            with source.block("try:"):
                demand_there(source, self._target(owner, "{0}"), template, owner)
                source.line(f"{name} = {self._target(owner, template)}")
            source.line(f"except {GONE}: return MISS")
            source.demand(f"type({name}) is {source.name(type(value))}")
        numbers.add_lines(source)

    def _movable(self, recorder, set_anew):
        """Let tensors in attributes and closures be looked up again if they are replaced.

        Such a tensor becomes a place of the recorder, and is not a fixed condition. If the function
        did not use the tensor at a place that it assigns, any tensor of the same kind may be there.
        Returns the other conditions. Those about such a tensor are left out, and are noted in
        ``_of_moved``: they can only be checked once the tensor has been looked up.
        """
        fixed: list = []
        first: dict = {}  # id of what was captured → the place where it is looked up
        moved: dict = {}  # id → tensor that is looked up again
        touched = recorder.grads.keys() | recorder.nodes.keys()
        for check in [*recorder.observer.reads.conditions, *recorder.checks]:
            template, objects, value = check
            captured = None
            if isinstance(value, Tensor) and not self.arguments.expression(value):
                captured = recorder.captured.get(key_of(value._array))
                unread = captured is None and id(value) not in touched
                if unread and (template, id(objects[0])) in set_anew:
                    check = (f"{{1}}({template}) == {{2}}", (*objects, _kind, _kind(value)), True)
            if len(objects) > 1 or captured is None or captured.tensor is not value or value.node:
                fixed.append(check)
                continue
            if isinstance(captured.get, Grad):  # found as a gradient, too
                fixed.append((f"({template}) is {{1}}._grad", (*objects, captured.get.leaf), True))
                continue
            if id(captured) in first:  # found in two places: later calls need one tensor in both
                other, owners = first[id(captured)]
                same = f"({template}) is ({other.replace('{0}', '{1}')})"
                fixed.append((same, (*objects, *owners), True))
                continue
            first[id(captured)] = template, objects
            get = getter(template)
            if captured.get is None:
                captured.get = partial(get, *objects)
            recorder.places.append(partial(_placed, template, objects, get))
            moved[id(value)] = value
        grads = [c for c in recorder.captured.values() if isinstance(c.get, Grad)]
        leaves = {id(c.tensor): c.get.leaf for c in grads}
        fixed = [_of_leaves(check, leaves) for check in fixed]
        self._of_moved = [c for c in fixed if any(id(x) in moved for x in c[1])]
        for _, objects, _ in self._of_moved:
            for x in objects:
                self._named(x)  # a tensor with a name is looked up again
        return [c for c in fixed if not any(id(x) in moved for x in c[1])]

    def _follow(self, kept, recorder):
        """Add the lines that look inputs up again after a change, and guard that they still fit."""
        source, held = self.source, self.held
        conditions = "\n            and ".join(held.conditions)
        if conditions:
            with source.block("try:"):
                source.line(f"stays = ({conditions})")
            source.line(f"except {GONE}: stays = False")
            source.line(f"if not stays and not {source.name(held.follow)}(): return MISS")
        for c, name in zip(kept, held.tensor_names, strict=True):
            if c.get is None and c.value.dtype.kind in "fcV":
                source.demand(f"{name}.node is {source.name(c.tensor.node)}")

    # The program ------------------------------------------------------------------------

    def _fresh(self, recorder, used):
        """The inputs that each call fetches anew: name of the array → ``Captured``.

        These are the arguments, and the gradients that leaves have before the call.
        """
        given = [c for c in recorder.captured.values() if type(c.get) is int]
        # A tensor at a place that the function assigns is often never read, so it is left out.
        n = self.arguments.given
        found = {f"a{c.get}": c for c in given if c.get < n or c.value.id in used}
        grads = [c for c in recorder.captured.values() if isinstance(c.get, Grad)]
        for i, c in enumerate(grads):
            leaf = c.get.leaf
            owner = self.arguments.expression(leaf) or self.source.name(leaf)
            self.source.line(f"g{i} = {owner}._grad")
            self.source.line(f"b{i} = g{i}._array")
            check_array(self.source, f"b{i}", c.tensor._array)
            found[f"b{i}"] = c
        return found

    def _tensor_names(self, fresh, kept):
        """value id → (name of its array, name of its tensor), for inputs that are tensors."""
        names = {c.value.id: (n, n.replace("a", "t").replace("b", "g")) for n, c in fresh.items()}
        held = zip(self.held.array_names, self.held.tensor_names, strict=True)
        return names | {c.value.id: pair for c, pair in zip(kept, held, strict=True)}

    def _saved(self, saves, results, inputs):
        """Where the values come from that the gradient saves.

        Returns (array, cell) expressions of all saved values, and the values that the program must
        compute in addition to the results.
        """
        made = {v.id: k for k, v in reversed([*enumerate(results.values)])}
        pairs: list = []
        more: list = []
        for v in saves:
            if v.id in inputs:
                array, tensor = inputs[v.id]
                pairs.append((array, f"{tensor}.cell"))
            elif v.id in made:
                pairs.append((f"found[{made[v.id]}]", f"{results.names[made[v.id]]}.cell"))
            else:
                pairs.append((f"found[{len(results.values) + len(more)}]", "None"))
                more.append(v)
        return pairs, more

    def _attach(self, backward, outs, saved):
        source = self.source
        made = ", ".join([outs[k][0] for k in backward.outs])
        arrays, cells = (", ".join([pair[i] for pair in saved]) for i in (0, 1))
        attach, parents = source.name(backward.attach), self._parents(backward)
        source.line(f"{attach}([{made}], [{arrays}], [{cells}], [{parents}])")

    def _parents(self, gradient):
        """The expressions of a gradient's parents, as one text.

        ``gradient.parents`` is emptied, so that an entry keeps no argument alive.
        """
        parents, gradient.parents = gradient.parents, []
        return ", ".join([
            f"{self.arguments.expression(t)}.node" if t is not None else self.source.name(node)
            for node, t in parents
        ])  # fmt: skip


def _stays(captured):
    """Whether an input stays in place between runs: it is neither an argument nor a gradient."""
    return type(captured.get) is not int and not isinstance(captured.get, Grad)


def _kind(value):
    """The properties of a tensor that Python code can test without its values."""
    given = isinstance(value, Tensor)
    if not given:
        return (type(value),)
    return type(value), value.shape, value.dtype, value.requires_grad, device_of(value)


def _placed(template, objects, get):
    """The conditions, for ``Recorder.places``, of a tensor that is looked up again."""
    t = get(*objects)
    if not isinstance(t, Tensor):
        return [(template, objects, t, MISS)]
    a = t._array
    look = f"{type(t).__name__} {a.shape} {a.strides} {a.dtype.name} {device_of(t)}"
    return [(template, objects, t, look), ("{0}.node", (t,), t.node, t.node)]


def _of_leaves(check, leaves):
    """The condition ``check`` with the gradients of ``leaves`` as such: they may be replaced."""
    template, objects, value = check
    for k, x in enumerate(objects):
        if id(x) in leaves:
            template = template.replace(f"{{{k}}}", f"{{{k}}}._grad")
    return template, tuple([leaves.get(id(x), x) for x in objects]), value
