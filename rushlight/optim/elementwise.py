"""Elementwise: what the optimizers share whose rule works element by element.

A rule is one function, ``update(xp, p, g, buffers, scalars, group)``, in plain operators: ``p``,
``g`` and ``buffers`` are flat arrays of many parameters where ``xp`` is NumPy, and tensors of one
parameter where ``xp`` is rushlight: in a trace, under ``differentiable=True``, in half precision.
"""

import contextvars
import threading
from itertools import chain
from operator import attrgetter, is_

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.dtype import float64
from rushlight.optim.bundle import bundles, real_type
from rushlight.optim.hooks import everywhere_after, everywhere_before, hooked
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor, from_array

__all__ = ["Elementwise"]

_array = attrgetter("array")


class Plan:
    """How the parameters of one group are stepped: in bundles, or tensor by tensor."""

    __slots__ = ("bundles", "group", "idle", "names", "params", "repeated")

    def __init__(self, group, names):
        self.group = group
        self.names = names
        self.params = list(group["params"])
        self.bundles = []
        self.idle = self.params  # not in a bundle: no gradient so far, or stepped as a tensor
        ids = [*map(id, self.params)]
        self.repeated = {i for i in ids if ids.count(i) > 1} if len({*ids}) < len(ids) else set()

    def holds(self, group, names):
        """Whether this is still a plan for ``group``."""
        return (
            self.group is group
            and self.names == names
            and len(self.params) == len(group["params"])
            and all(map(is_, self.params, group["params"]))
        )


class Elementwise(Optimizer):
    """An optimizer given by a rule for one element.

    A subclass defines ``_names``, ``_scalars`` and ``_update``; where it has no ``"step"`` in its
    state it counts to two, the first step and the later ones.
    """

    _counted = True
    _traced = True
    _joint = True  # the rule works on many parameters at once, as one flat array
    _numbers: tuple = ()  # names of state that is one number, alike for all that are abreast
    _structure: tuple = ()  # numbers among the options that say what is computed, not with what
    _older: dict = {}  # values of options that old checkpoints lack
    _counters: dict  # see _enrol

    @staticmethod
    def _names(group):
        """The names of the state tensors, apart from ``"step"``."""
        raise NotImplementedError

    def _names_of(self, p, names):
        """Those of ``names`` that ``p`` has."""
        return names

    @staticmethod
    def _scalars(group, step, *numbers):
        """The numbers of the rule in this step, the first being 1.

        Where there are ``_numbers``, they come too: as they were, and as ``_follow`` left them.
        """
        raise NotImplementedError

    @staticmethod
    def _follow(group, step, *numbers):
        """What ``_numbers`` are after this step."""
        raise NotImplementedError

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        """Change ``p`` and ``buffers`` in place, and leave ``g``."""
        raise NotImplementedError

    def _initial(self, p, name):
        """What the state ``name`` of ``p`` is filled with, but for the step."""
        return 0.0

    def _rate(self, p):
        """The learning rate of ``p``, for the state that a first step makes."""
        recorder = mode.recorder() if mode.intercept else None
        if recorder is not None and recorder.first_calls:
            recorder.refuse(
                "inside torch.compile, a scheduler's step comes before the first step of an "
                "optimizer whose state begins with the learning rate; take that step outside"
            )
        group = next(g for g in self.param_groups if any(p is q for q in g["params"]))
        return float(group["lr"].array if isinstance(group["lr"], Tensor) else group["lr"])

    def _prepare(self):
        super()._prepare()
        self._plans = []
        self._known = None
        self.__dict__.setdefault("_counters", {})

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for key, value in self._older.items():
                group.setdefault(key, value)
            for p in group["params"] if self._counted else ():
                own = self.state.get(p) or {}
                for name in ("step", *self._numbers) if own else ():
                    if not isinstance(own[name], Tensor):
                        own[name] = _scalar(float(own[name]))

    def step(self, closure=None):
        """Update the parameters from their gradients.

        Args:
            closure: Called first, with gradients enabled: clears them, computes the loss, calls
                ``backward`` and returns the loss, which ``step`` returns.
        """
        if (
            everywhere_before or everywhere_after
            or self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks
            or (mode.intercept and mode.state.profiler is not None)
        ):  # fmt: skip
            return _hooked_step(self) if closure is None else _hooked_step(self, closure)
        return self._step(closure)

    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure=None):
        self._opt_called = True
        loss = None
        if closure is not None:
            with mode.enable_grad():
                loss = closure()
        recorder = mode.recorder() if mode.intercept else None
        if recorder is not None:
            from rushlight.optim.traced import record_step

            record_step(self, recorder)
        elif self.defaults.get("differentiable"):
            for group in self.param_groups:
                self._step_tensors(group, self._enrol(group["params"], self._names(group)))
        else:
            _quiet().run(self._step_arrays)
        return loss

    # On arrays ---------------------------------------------------------------------------

    def _step_arrays(self):
        if not (self._planned() and self._undisturbed()):
            self._plans = [Plan(group, self._names(group)) for group in self.param_groups]
            self._known = None
        for plan in self._plans:
            for bundle in plan.bundles:
                count = bundle.count() if bundle.gather() else None
                if count is None:
                    self._dissolve(plan, bundle)
                else:
                    self._advance(plan.group, bundle, count)
            if plan.idle:
                self._wake(plan)
        if self._known is None:
            self._remember()

    def _planned(self):
        """Whether the groups are those of the plans."""
        plans, groups = self._plans, self.param_groups
        if len(plans) != len(groups):
            return False
        return all(
            plan.holds(group, self._names(group)) for plan, group in zip(plans, groups, strict=True)
        )

    def _remember(self):
        """Note the state as it is, to see when somebody else puts other tensors into it."""
        held = list(self.state.values())
        dicts = [s for s in held if type(s) is dict]
        values = [v for s in dicts for v in s.values()]
        tensors = [v for v in values if isinstance(v, Tensor)]
        self._known = held, dicts, values, tensors, [t.array for t in tensors]

    def _undisturbed(self):
        """Whether the state holds the tensors, over the memory, that this optimizer left there."""
        if self._known is None:
            return False
        held, dicts, values, tensors, arrays = self._known
        state = self.state
        if not held:
            return not state
        return (
            len(state) == len(held)
            and all(map(is_, state.values(), held))
            and sum(map(len, dicts)) == len(values)
            and all(map(is_, chain.from_iterable(map(dict.values, dicts)), values))
            and all(map(is_, map(_array, tensors), arrays))
        )

    def _advance(self, group, bundle, count):
        # Options may be tensors of one element.
        if bundle.numbers:
            scalars = self._turn(group, count + 1, bundle.numbers)
        else:
            scalars = self._scalars(group, count + 1)
        bundle.advance(self._update, tuple(map(float, scalars)), count, group)

    def _turn(self, group, step, arrays):
        """The scalars of a step, which the ``_numbers`` in ``arrays`` take too."""
        before = [a.flat[0] for a in arrays]  # NumPy's, which keep their dtype
        for a, value in zip(arrays, self._follow(group, step, *before), strict=True):
            a.fill(value)
        return self._scalars(group, step, [*map(float, before)], [float(a.flat[0]) for a in arrays])

    def _dissolve(self, plan, bundle):
        """Take apart a bundle that cannot step as one; the next ``_wake`` sorts its parameters."""
        if all(p._grad is None for p in bundle.params):
            return  # nothing to do in this step
        plan.bundles = [b for b in plan.bundles if b is not bundle]
        gone = {*map(id, plan.idle), *map(id, bundle.params)}
        plan.idle = [p for p in plan.params if id(p) in gone]

    def _wake(self, plan):
        """Step the parameters outside bundles that have a gradient, bundling what can be."""
        ready = self._enrol(plan.idle, plan.names)
        if not ready:
            return
        self._known = None
        flat = [(p, c) for p, c in ready if real_type(p) and id(p) not in plan.repeated]
        if flat and self._joint:
            params, counts = zip(*flat, strict=True)
            columns = [[self.state[p][name] for name in plan.names] for p in params]
            numbers = [[self.state[p][name] for name in self._numbers] for p in params]
            made = bundles(params, columns, counts, numbers)
            bundled = set(map(id, params))
            plan.bundles += made
            plan.idle = [p for p in plan.idle if id(p) not in bundled]
            for bundle in made:
                bundle.gather()
                self._advance(plan.group, bundle, bundle.count())
            ready = [(p, c) for p, c in ready if id(p) not in bundled]
        with mode.no_grad():
            self._step_tensors(plan.group, ready)

    def _enrol(self, params, names):
        """(parameter, step count) of those with a gradient, their state made where it lacks."""
        ready = []
        for p in params:
            if p._grad is None:
                continue
            if p._grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
            ready.append((p, self._complete(p, names)))
        return ready

    def _lacks(self, p, names):
        """Whether state of ``p`` is missing, so that ``_complete`` would make it."""
        own = self.state.get(p) or {}
        counts = ("step",) if self._counted else ()
        wanted = (*counts, *self._numbers, *self._names_of(p, names))
        return any(own.get(name) is None for name in wanted)

    def _complete(self, p, names):
        """Make what is missing of ``p``'s state; returns its step count, a tensor if it has one."""
        count = 1.0
        if self._counted and "step" not in self.state[p]:
            self.state[p]["step"] = _scalar(0.0)
        for name in self._numbers:
            if name not in self.state[p]:
                self.state[p][name] = _scalar(self._initial(p, name))
        for name in self._names_of(p, names):
            if self.state[p].get(name) is None:
                self.state[p][name] = self._made(p, name)
                count = 0.0
                if p in self._counters:
                    self._counters[p].array[...] = 0.0
        return self.state[p]["step"] if self._counted else count

    def _made(self, p, name):
        """A new state tensor for ``p``."""
        fill = self._initial(p, name)
        if p.is_complex():
            fill = complex(fill, fill)
        return from_array(np.full(p.shape, fill, p.dtype.numpy))

    # In a trace --------------------------------------------------------------------------

    @classmethod
    def _counts(cls, group):
        """Whether the numbers of the rule depend on the step's."""
        return cls._counted

    def _counter(self, p, count):
        """The tensor that counts the steps of ``p``, which have been ``count``."""
        # Only a trace needs one where the state has none, so it is no part of the state.
        return count if self._counted else self._counters.setdefault(p, _scalar(count))

    # On tensors --------------------------------------------------------------------------

    def _step_tensors(self, group, members):
        shared: dict = {}  # parameters that have taken as many steps share their scalars
        for p, count in members:
            key = count.array.item() if isinstance(count, Tensor) else count
            if isinstance(count, Tensor):
                count.add_(1)
            if self._numbers:
                arrays = [self.state[p][name].array for name in self._numbers]
                scalars = self._turn(group, key + 1, arrays)
            else:
                if key not in shared:
                    shared[key] = self._scalars(group, key + 1)
                scalars = shared[key]
            names = self._names_of(p, self._names(group))
            self._step_one([p, *[self.state[p][name] for name in names]], scalars, group)

    def _step_one(self, tensors, scalars, group):
        """Update one parameter and its state, ``tensors``."""
        if group.get("differentiable"):
            self._step_copies(tensors, scalars, group)
        else:
            p, g, *buffers = map(_real, (tensors[0], tensors[0].grad, *tensors[1:]))
            self._update(rushlight, p, g, buffers, scalars, group)

    def _step_copies(self, tensors, scalars, group):
        """Update copies and copy them back, so that no value saved for a gradient is lost."""
        p, *buffers = copies = [_real(t.clone()) for t in tensors]
        g, decay = _real(tensors[0].grad), group.get("weight_decay", 0.0)
        decoupled = group.get("decoupled_weight_decay", False)
        if decoupled:
            decay = decay * group["lr"]
        if isinstance(decay, Tensor) and decay.requires_grad:
            # The product saves the parameter, and the rule would overwrite it.
            penalty = _real(tensors[0].clone()) * decay
            if decoupled:
                p = copies[0] = p - penalty
            else:
                g = g - penalty if group["maximize"] else g + penalty
            group = {**group, "weight_decay": 0.0}
        self._update(_Unwritten, p, g, buffers, scalars, group)
        for t, copy in zip(tensors, copies, strict=True):
            t.copy_(rushlight.view_as_complex(copy) if t.is_complex() else copy)


_hooked_step = hooked(Elementwise._step)


class _Unwritten:
    """The namespace of rules in ``_step_copies``: what a function saves is not written later."""

    sqrt = staticmethod(lambda x: rushlight.sqrt(x))
    maximum = staticmethod(lambda x, y: rushlight.maximum(x.clone(), y))
    multiply = staticmethod(lambda x, y: x.clone() * y)
    abs = staticmethod(lambda x: rushlight.abs(x))
    sign = staticmethod(lambda x: rushlight.sign(x))
    clip = staticmethod(lambda x, least, most: rushlight.clip(x, least, most))
    where = staticmethod(lambda x, y, z: rushlight.where(x, y, z))
    zeros_like = staticmethod(lambda x: rushlight.zeros_like(x))


class _Thread(threading.local):
    quiet: contextvars.Context | None = None


_thread = _Thread()


def _quiet():
    """This thread's context in which NumPy does not warn of overflow, as PyTorch does not.

    Entering a context costs a tenth of ``np.errstate``; no two threads may enter the same.
    """
    if _thread.quiet is None:
        quiet = _thread.quiet = contextvars.copy_context()
        quiet.run(np.seterr, all="ignore")
    return _thread.quiet


def _scalar(value):
    """A step count: 0-dim, and in float32 unless the default is float64."""
    wide = rushlight.get_default_dtype() is float64
    return from_array(np.array(value, np.float64 if wide else np.float32))


def _real(t):
    return rushlight.view_as_real(t) if t.is_complex() else t
