"""The step of an optimizer inside a trace.

Each run of the compiled program reads the numbers among the options again. The step counts of
parameters with equal counts are put into one array, so that the program increments them, and
computes the scalars that depend on the count, once for all these parameters.
"""

from functools import partial
from operator import is_

from rushlight.autograd import mode
from rushlight.autograd.recording import Recording
from rushlight.compiler.capture.symbolic_numbers import SymbolicNumber
from rushlight.dtype import float64
from rushlight.optim.bundle import adopt_counts
from rushlight.tensor import Tensor, from_array

__all__ = ["record_step"]


def record_step(optimizer, recorder: Recording):
    """Record a step of ``optimizer`` in the trace of ``recorder``."""
    recorder.settle_calls(optimizer)
    first = optimizer not in recorder.stepped
    before = recorder.stepped.setdefault(optimizer, {})  # index of a group → the group's State
    if first:
        recorder.places.append(partial(_options, optimizer))
        _undone_by(recorder, optimizer.state)
        recorder.undo.append(_arrays_of(optimizer))
    for i, group in enumerate(optimizer.param_groups):
        for p in group["params"]:
            recorder.touch_grad(p)
        members = optimizer._enrol(group["params"], optimizer._names(group))
        if not first:
            _step_again(before.get(i), [p for p, _ in members], recorder)
            continue
        if not members:
            continue
        if optimizer._counts(group):
            for p, count in members:
                optimizer._counter(p, count)
        state = before[i] = State(optimizer, i, [p for p, _ in members])
        recorder.places.append(state.places)
        state.capture(recorder)
        state.step(recorder)


def _step_again(state, params, recorder: Recording):
    """Record a second or later step in one trace. Its parameters must be those of the first."""
    if [*map(id, params)] != [*map(id, state.params if state else ())]:
        recorder.refuse(
            "inside torch.compile, an optimizer's steps must all be of the same parameters: here "
            "others have gradients than in its first step of this call"
        )
    if state:
        state.step(recorder)


def _options(optimizer):
    """Return the conditions on the options under which a program can run.

    Each condition is (expression, its objects, its present value, a fixed value). If the present
    value changes, the program looks the options up again. If the fixed value changes, the program
    cannot be used. For a number, only whether it is 0 is fixed, because 0 switches a part of the
    rule off.
    """
    groups = optimizer.param_groups
    found: list = [
        ("{0}.param_groups", (optimizer,), groups, None),
        ("len({0})", (groups,), len(groups), len(groups)),
    ]
    for i, group in enumerate(groups):
        params = group["params"]
        found.append((f"{{0}}[{i}]", (groups,), group, None))
        found.append(("{0}['params']", (group,), params, None))
        found.append(("len({0})", (params,), len(params), len(params)))
        found += [(f"{{0}}[{k}]", (params,), p, p) for k, p in enumerate(params)]
        for key in optimizer.defaults:
            value = group.get(key)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if key != "lr" or isinstance(value, Tensor):
                look = f"{{0}}[{key!r}]" if key in group else f"{{0}}.get({key!r})"
                if type(value) is tuple and not any(isinstance(v, Tensor) for v in value):
                    # The tuple holds numbers, and no number of a tuple switches anything off.
                    found.append((f"type({look})", (group,), tuple, tuple))
                    continue
                fixed = value if key in optimizer._structure or not number else bool(value)
                found.append((look, (group,), value, fixed))
            elif "lr" in group:  # each run reads the number, but not the value of a tensor
                found.append(("isinstance({0}['lr'], {1})", (group, Tensor), False, False))
    return found


def _undone_by(recorder: Recording, state):
    """Return a copy of ``state``; restore it if the trace fails."""
    before = {p: dict(own) if type(own) is dict else own for p, own in state.items()}

    def undo():
        for p, own in list(state.items()):
            if p not in before:
                del state[p]
            elif type(own) is dict:
                own.clear()
                own.update(before[p])

    recorder.undo.append(undo)
    return before


def _arrays_of(optimizer):
    """Return a function that gives the state tensors their present arrays back.

    A trace moves step counts into one array, while another program may rely on the present arrays.
    """
    found = [t for own in optimizer.state.values() if type(own) is dict for t in own.values()]
    tensors = [t for t in (*found, *optimizer._counters.values()) if isinstance(t, Tensor)]
    arrays = [t._array for t in tensors]

    def undo():
        for t, array in zip(tensors, arrays, strict=True):
            t._array = array

    return undo


class Options:
    """A group's options in a trace. Each run of the program reads their numbers again."""

    def __init__(self, optimizer, index, recorder: Recording):
        self.optimizer, self.index, self.recorder = optimizer, index, recorder

    @property
    def group(self):
        return self.optimizer.param_groups[self.index]

    def __getitem__(self, key):
        value = self.group[key]
        if type(value) is SymbolicNumber:
            return self.recorder.live(lambda: value)
        if self.recorder.sets_option(self.group, key):
            return value
        if isinstance(value, tuple):
            return tuple(
                self._number(key, v, lambda i=i: self.group[key][i], False)
                for i, v in enumerate(value)
            )
        return self._number(key, value, lambda: self.group[key], key != "lr")

    def _number(self, key, value, get, steady):
        if value is None or isinstance(value, (bool, Tensor)):
            return value
        # All numbers become floats, because an int may be a float in a later run. Most numbers are
        # ``steady``: they change rarely, and the conditions of ``_options`` tell when. The learning
        # rate and Adam's betas are not, because schedulers change them at every step.
        place = partial(self._place, key)
        return self.recorder.live(lambda: float(get()), place, steady=steady)

    def _place(self, key):
        return self.group, key


class State:
    """The state of those parameters of one group that take the step.

    Attributes:
        counters: One entry for each different step count: (the parameters with this count, their
            count tensors, a tensor over the one array that holds all these counts).
    """

    def __init__(self, optimizer, index, params):
        self.optimizer, self.index, self.params = optimizer, index, params
        group = optimizer.param_groups[index]
        self.names = optimizer._names(group)
        self.counts = optimizer._counts(group)
        self.counters: list = []
        self.dicts: list = []
        self._join()

    def _join(self):
        """Put the counts of parameters with equal step counts into one array."""
        optimizer = self.optimizer
        found: dict = {}
        for p in self.params:
            count = optimizer._complete(p, self.names)
            if self.counts:
                count = optimizer._counter(p, count)
                found.setdefault(count._array.item(), []).append((p, count))
        self.shown = ("step", *optimizer._numbers) if optimizer._counted else ()
        stateful = self.names or self.shown
        self.dicts = [optimizer.state[p] for p in self.params] if stateful else []
        before = {tuple(map(id, params)): tensor for params, _, tensor in self.counters}
        self.counters = []
        for members in found.values():
            params, counts = zip(*members, strict=True)
            tensor = before.get(tuple(map(id, params)))
            if tensor is None or any(t._array.base is not tensor._array for t in counts):
                steps = adopt_counts(counts)
                tensor = from_array(steps) if tensor is None else tensor
                tensor._array = steps
            self.counters.append((params, counts, tensor))

    def places(self):
        """Return conditions, as ``_options`` does, on the state's tensors and equal step counts."""
        if any(self.optimizer._lacks(p, self.names) for p in self.params):
            return []  # missing state is made when a step runs, not here
        self._join()
        optimizer, state = self.optimizer, self.optimizer.state
        found: list = [("{0}.state", (optimizer,), state, None)]
        if self.dicts:
            same = "len({0}) == len({1}) and all(map({2}, {0}.values(), {1}))"
            found.append((same, (state, (*state.values(),), is_), True, True))
        names = *self.shown, *self.names
        for own in self.dicts:
            found += [(f"{{0}}[{n!r}]", (own,), own[n], None) for n in names if n in own]
        for params, counts, tensor in self.counters:
            found += [("{0}._array", (t,), t._array, None) for t in counts]
            abreast = len(counts), *map(id, params)
            alike = "(n := {0}.tolist()).count(n[0]) == len(n)"
            found.append((alike, (tensor._array,), True, abreast))
        return found

    def capture(self, recorder: Recording):
        """Make the state an input that is looked up at each run, because it may be loaded anew."""
        optimizer, state = self.optimizer, self.optimizer.state
        for p in self.params:
            for name in (*optimizer._numbers, *optimizer._names_of(p, self.names)):
                tensor = state[p][name]
                if recorder.is_outer(tensor):
                    recorder.capture(tensor, lambda p=p, name=name: self.optimizer.state[p][name])
        for i, (_, _, tensor) in enumerate(self.counters):
            recorder.capture(tensor, lambda i=i: self.counters[i][2])

    def step(self, recorder: Recording):
        """Update the parameters, with one set of scalars for all of equal step count."""
        optimizer, group = self.optimizer, self.optimizer.param_groups[self.index]
        options = Options(optimizer, self.index, recorder)
        with mode.set_grad_enabled(bool(optimizer.defaults.get("differentiable"))):
            shared: dict = {}
            for params, _, tensor in self.counters:
                tensor.add_(1)
                count = tensor[0].to(float64)
                if optimizer._numbers:
                    shared |= {id(p): self._turn(options, count, p) for p in params}
                else:
                    shared |= dict.fromkeys(map(id, params), optimizer._scalars(options, count))
            if not self.counters:
                # No scalar depends on the step count, so any number above 1 stands for it.
                shared = dict.fromkeys(map(id, self.params), optimizer._scalars(options, 2.0))
            for p in self.params:
                names = optimizer._names_of(p, self.names)
                tensors = [p, *[optimizer.state[p][name] for name in names]]
                optimizer._step_one(tensors, shared[id(p)], group)

    def _turn(self, options, count, p):
        """Return the scalars of a step of ``p``; advance the ``_numbers`` in its state."""
        optimizer = self.optimizer
        tensors = [optimizer.state[p][name] for name in optimizer._numbers]
        before = [t.clone().to(float64) for t in tensors]
        for t, value in zip(tensors, optimizer._follow(options, count, *before), strict=True):
            t.copy_(value)
        return optimizer._scalars(options, count, before, [t.clone().to(float64) for t in tensors])
