"""Elementwise: the base class of optimizers that update each element by the same rule.

A rule is one function, ``update(xp, p, g, buffers, scalars, group)``, written with plain operators.
If ``xp`` is NumPy, ``p``, ``g`` and ``buffers`` are flat arrays of many parameters. If ``xp`` is
rushlight, they are tensors of one parameter: in a trace, with ``differentiable=True``, and in half
precision.
"""

from itertools import chain
from operator import attrgetter, is_
from typing import Any
from weakref import WeakMethod

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.device_array import placed, recording_of, reserved
from rushlight.dtype import float64
from rushlight.errors import DtypeError
from rushlight.far_programs import FarProgram
from rushlight.handled import is_handled
from rushlight.meta import MetaArray, is_meta
from rushlight.optim.bundle import bundles, real_type
from rushlight.optim.hooks import everywhere_after, everywhere_before, hooked
from rushlight.optim.optimizer import Optimizer
from rushlight.remote import device_of, is_remote
from rushlight.tensor import Tensor, from_array

__all__ = ["Elementwise", "filled"]

_array = attrgetter("_array")


def _refuse_capture(params):
    """Raise PyTorch's error of ``capturable`` if a parameter with a gradient is on the CPU."""
    if any(p.grad is not None and device_of(p) is CPU for p in params):
        raise AssertionError(
            "If capturable=True, params and state_steps must be on supported devices: ['cuda', "
            "'xpu', 'hpu', 'privateuseone', 'xla']."
        )


class Plan:
    """The way that the parameters of one group are updated: in bundles, or tensor by tensor.

    Attributes:
        bundles: The bundles.
        idle: The parameters outside bundles: those without a gradient so far, and those that are
            updated as tensors.
        repeated: The ids of parameters that the group holds more than once.
    """

    __slots__ = ("bundles", "group", "idle", "names", "params", "repeated")

    def __init__(self, group, names):
        self.group = group
        self.names = names
        self.params = list(group["params"])
        self.bundles = []
        self.idle = self.params
        ids = [*map(id, self.params)]
        self.repeated = {i for i in ids if ids.count(i) > 1} if len({*ids}) < len(ids) else set()

    def holds(self, group, names):
        """True if this plan is still valid for ``group``."""
        return (
            self.group is group
            and self.names == names
            and len(self.params) == len(group["params"])
            and all(map(is_, self.params, group["params"]))
        )


class Elementwise(Optimizer):
    """An optimizer that is defined by an update rule for one element.

    A subclass defines ``_names``, ``_scalars`` and ``_update``. If its state has no ``"step"``, the
    rule only distinguishes the first step, number 1, from the later ones.
    """

    _counted = True  # the state has a "step"
    _joint = True  # the rule works on a flat array of many parameters
    _lerped = ""  # the state tensor that must have the dtype of the gradient, as for ``lerp``
    _numbers: tuple = ()  # names of state tensors that hold one number each
    _structure: tuple = ()  # options whose numbers a compiled step holds as constants
    _older: dict = {}  # defaults of options that old checkpoints lack
    _instead = ""  # what the error about sparse gradients recommends
    _counters: dict  # see _counter

    @staticmethod
    def _names(group):
        """Return the names of the state tensors, apart from ``"step"``."""
        raise NotImplementedError

    def _names_of(self, p, names):
        """Return those of ``names`` that the state of ``p`` has."""
        return names

    @staticmethod
    def _scalars(group, step, *numbers):
        """Return the scalars of the rule in step number ``step``, which counts from 1.

        If there are ``_numbers``, ``numbers`` are two lists: their values before the step, and the
        values that ``_follow`` returned.
        """
        raise NotImplementedError

    @staticmethod
    def _follow(group, step, *numbers):
        """Return the values of ``_numbers`` after step number ``step``."""
        raise NotImplementedError

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        """Change ``p`` and ``buffers`` in place, and leave ``g``."""
        raise NotImplementedError

    def _initial(self, p, name):
        """Return the initial value of the state ``name`` of ``p``; the step starts at 0."""
        return 0.0

    def _rate(self, p):
        """Return the learning rate of ``p``, as the initial value of a state tensor."""
        recorder = mode.recorder() if mode.intercept else None
        if recorder is not None and recorder.first_calls:
            recorder.refuse(
                "inside torch.compile, a scheduler's step comes before the first step of an "
                "optimizer whose state begins with the learning rate; take that step outside"
            )
        group = next(g for g in self.param_groups if any(p is q for q in g["params"]))
        return float(group["lr"]._array if isinstance(group["lr"], Tensor) else group["lr"])

    def _prepare(self):
        super()._prepare()
        self._plans = []
        self._known = None
        step: Any = WeakMethod(self._step_now)  # the optimizer must not refer to itself
        self._far_step = FarProgram(lambda: step()())
        self.__dict__.setdefault("_counters", {})

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for key, value in self._older.items():
                group.setdefault(key, value)
            for p in group["params"] if self._counted else ():
                own = self.state.get(p) or {}
                for name in ("step", *self._numbers) if own else ():
                    value = own[name]
                    if not isinstance(value, Tensor):
                        own[name] = _scalar(float(value))
                    elif is_remote(value) and not is_meta(value):  # numbers live on the host
                        own[name] = value.cpu()

    def step(self, *given, **named):
        """Update the parameters from their gradients.

        Args:
            closure: A function that is called first, with grad mode on. It clears the gradients,
                computes the loss and calls ``backward``. ``step`` returns its loss.
        """
        if (
            everywhere_before or everywhere_after
            or self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks
            or (mode.intercept and mode.state.profiler is not None)
        ):  # fmt: skip
            return _hooked_step(self, *given, **named)  # hooks see what was given by name
        return self._step(*given, **named)

    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure=None):
        self._opt_called = True
        loss = None
        if closure is not None:
            with mode.enable_grad():
                loss = closure()
        recorder = mode.recorder() if mode.intercept else None
        if recorder is None:
            for group in self.param_groups:
                if group.get("capturable") and not group.get("fused"):
                    _refuse_capture(group["params"])
        if recorder is None and self.defaults.get("differentiable"):
            with mode.enable_grad():  # also under no_grad(), as in PyTorch
                for group in self.param_groups:
                    self._step_tensors(group, self._enrol(group["params"], self._names(group)))
        elif recorder is None and mode.metas:
            params = chain.from_iterable([group["params"] for group in self.param_groups])
            self._far_step(next((p._array for p in params if p._grad is not None), None))
        else:
            self._step_now()
        return loss

    def _step_now(self):
        recorder = mode.recorder() if mode.intercept else None
        if recorder is None:
            self._step_arrays()
        else:
            from rushlight.optim.traced import record_step

            record_step(self, recorder)

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
        """True if the plans are still valid for the parameter groups."""
        plans, groups = self._plans, self.param_groups
        if len(plans) != len(groups):
            return False
        return all(
            plan.holds(group, self._names(group)) for plan, group in zip(plans, groups, strict=True)
        )

    def _remember(self):
        """Note the present state tensors, so that ``_undisturbed`` sees if others replaced them."""
        held = list(self.state.values())
        dicts = [s for s in held if type(s) is dict]
        values = [v for s in dicts for v in s.values()]
        tensors = [v for v in values if isinstance(v, Tensor) and not v.is_sparse]
        self._known = held, dicts, values, tensors, [t._array for t in tensors]

    def _undisturbed(self):
        """True if the state still holds the same tensors, over the same memory."""
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
        # Scalars may be tensors of one element, because options may be.
        if bundle.numbers:
            scalars = self._turn(group, count + 1, bundle.numbers)
        else:
            scalars = self._scalars(group, count + 1)
        bundle.advance(self._update, tuple(map(float, scalars)), count, group)

    def _turn(self, group, step, arrays):
        """Return the scalars of step number ``step``; advance the ``_numbers`` in ``arrays``."""
        before = [a.flat[0] for a in arrays]  # NumPy scalars: _follow computes in their dtype
        for a, value in zip(arrays, self._follow(group, step, *before), strict=True):
            a.fill(value)
        return self._scalars(group, step, [*map(float, before)], [float(a.flat[0]) for a in arrays])

    def _dissolve(self, plan, bundle):
        """Make the parameters of a bundle idle, because they cannot be updated together any more.

        The next ``_wake`` puts them into new bundles.
        """
        if all(p._grad is None for p in bundle.params):
            return  # nothing to do in this step
        plan.bundles = [b for b in plan.bundles if b is not bundle]
        gone = {*map(id, plan.idle), *map(id, bundle.params)}
        plan.idle = [p for p in plan.params if id(p) in gone]

    def _wake(self, plan):
        """Update the idle parameters that have a gradient; put them into bundles if possible."""
        ready = self._enrol(self._step_sparse(plan), plan.names)
        if not ready:
            return
        self._known = None
        flat = [
            (p, c) for p, c in ready
            if real_type(p) and id(p) not in plan.repeated and self._fits(p, plan.names)
            and not is_handled(p._grad)
        ]  # fmt: skip
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

    def _fits(self, p, names):
        """True if the state of ``p`` may move to the memory of a bundle, in the dtype of ``p``.

        State that other processes see stays in its memory. State keeps its dtype if the parameter
        gets another one.
        """
        own = self.state.get(p) or {}
        tensors = [t for t in own.values() if isinstance(t, Tensor)]
        alike = all(own[name].dtype is p.dtype for name in self._names_of(p, names))
        return alike and not any(t.is_shared() for t in tensors)

    def _step_sparse(self, plan):
        """Update the idle parameters with sparse gradients; return the other idle parameters."""
        sparse = [p for p in plan.idle if p._grad is not None and p._grad.is_sparse]
        if not sparse:
            return plan.idle
        self._known = None
        for p in sparse:
            self._update_rows(p, p._grad, plan.group)
        return [p for p in plan.idle if not any(p is q for q in sparse)]

    def _update_rows(self, p, g, group):
        """Update ``p`` by its sparse gradient ``g``, if the optimizer has a rule for it."""
        raise RuntimeError(
            f"{type(self).__name__} does not support sparse gradients{self._instead}"
        )

    def _enrol(self, params, names):
        """Return (parameter, step count) for all ``params`` with a gradient; make missing state."""
        ready = []
        for p in params:
            if p._grad is None:
                continue
            if p._grad.is_sparse:
                Elementwise._update_rows(self, p, p._grad, {})
            ready.append((p, self._complete(p, names)))
        return ready

    def _lacks(self, p, names):
        """True if ``p`` lacks state that ``_complete`` would make."""
        own = self.state.get(p) or {}
        counts = ("step",) if self._counted else ()
        wanted = (*counts, *self._numbers, *self._names_of(p, names))
        return any(own.get(name) is None for name in wanted)

    def _complete(self, p, names):
        """Make the missing state of ``p``.

        Return the state tensor ``"step"``. Without such a tensor, return 0.0 if state was made,
        which means that this is the first step, and otherwise 1.0.
        """
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
                    self._counters[p]._array[...] = 0.0
        if self._lerped and (mean := self.state[p][self._lerped]).dtype is not p.dtype:
            raise DtypeError(
                f"{type(self).__name__}: expected dtype {mean.dtype} for `end` but got dtype "
                f"{p.dtype}: the parameter has another dtype than its state; load the state again "
                "by load_state_dict, which converts it"
            )
        if not self._counted:
            return count
        step = self.state[p]["step"]
        if not isinstance(step, Tensor) or step._array.size != 1:
            raise RuntimeError(
                f"{type(self).__name__}: API has changed, the state 'step' must be a singleton "
                f"tensor, but is {step!r}"
            )
        return step

    def _gradient(self, p):
        """Return the gradient by which ``p`` is updated."""
        return p.grad

    def _made(self, p, name):
        """Return a new state tensor for ``p``."""
        fill = self._initial(p, name)
        if p.is_complex():
            fill = complex(fill, fill)
        return filled(p.shape, fill, p)

    # In a trace --------------------------------------------------------------------------

    @classmethod
    def _counts(cls, group):
        """True if the scalars of the rule depend on the step number."""
        return cls._counted

    def _counter(self, p, count):
        """Return the tensor that counts the steps of ``p``; ``count`` is the present count."""
        # If the state has no "step", only a trace needs the tensor, so it stays out of the state.
        return count if self._counted else self._counters.setdefault(p, _scalar(count))

    # On tensors --------------------------------------------------------------------------

    def _step_tensors(self, group, members):
        recording = recording_of(members[0][0]) if members else None
        if recording is not None and self._counted:
            self._step_in_replays(recording, group, members)
            return
        shared: dict = {}  # step count → scalars
        for p, count in members:
            key = count._array.item() if isinstance(count, Tensor) else count
            if isinstance(count, Tensor):
                count.add_(1)
            if self._numbers:
                arrays = [self.state[p][name]._array for name in self._numbers]
                scalars = self._turn(group, key + 1, arrays)
            else:
                if key not in shared:
                    shared[key] = self._scalars(group, key + 1)
                scalars = shared[key]
            names = self._names_of(p, self._names(group))
            self._step_one([p, *[self.state[p][name] for name in names]], scalars, group)

    def _step_in_replays(self, recording, group, members):
        """Let each replay of a graph update the parameters; the host computes the scalars.

        Raises:
            RuntimeError: a group is not ``capturable``.
        """
        if not all(group.get("capturable", True) for group in self.param_groups):
            raise RuntimeError(
                "Attempting CUDA graph capture of step() for an instance of "
                f"{type(self).__name__} but param_groups' capturable is False."
            )
        arrays = [[self.state[p][name]._array for name in self._numbers] for p, _ in members]

        def turned():
            rows = []
            for (_, count), own in zip(members, arrays, strict=True):
                step = count._array.item() + 1
                found = self._turn(group, step, own) if own else self._scalars(group, step)
                rows.append([*map(float, found)])
            return np.array(rows, np.float64 if members[0][0].dtype is float64 else np.float32)

        before = [[a.copy() for a in own] for own in arrays]
        known = turned()
        for a, value in zip(chain(*arrays), chain(*before), strict=True):
            a[...] = value
        numbers = from_array(reserved(known.shape, known.dtype, None, device_of(members[0][0])))

        def advance():
            numbers._array.memory.fill(turned())
            for _, count in members:
                count.add_(1)

        recording.do(advance)
        for (p, _), scalars in zip(members, numbers, strict=True):
            names = self._names_of(p, self._names(group))
            tensors = [p, *[self.state[p][name] for name in names]]
            self._step_one(tensors, scalars.unbind(), group)

    def _step_one(self, tensors, scalars, group):
        """Update one parameter and its state; ``tensors`` is the list of both."""
        if group.get("differentiable"):
            self._step_copies(tensors, scalars, group)
        else:
            p, g, *buffers = map(_real, (tensors[0], self._gradient(tensors[0]), *tensors[1:]))
            self._update(rushlight, p, g, buffers, scalars, group)

    def _step_copies(self, tensors, scalars, group):
        """Update copies and copy them back, so that no value is overwritten that backward needs."""
        p, *buffers = copies = [_real(t.clone()) for t in tensors]
        g, decay = _real(self._gradient(tensors[0])), group.get("weight_decay", 0.0)
        decoupled = group.get("decoupled_weight_decay", False)
        if decoupled:
            decay = decay * group["lr"]
        if isinstance(decay, Tensor) and decay.requires_grad:
            # The product saves the parameter for backward, and the rule would overwrite it.
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
Elementwise.step.__wrapped__ = Elementwise._step  # type: ignore[attr-defined]  # its signature


class _Unwritten:
    """The ``xp`` of rules in ``_step_copies``.

    Its functions save copies for backward, because the rule writes to its buffers later.
    """

    sqrt = staticmethod(lambda x: rushlight.sqrt(x))
    maximum = staticmethod(lambda x, y: rushlight.maximum(x.clone(), y))
    multiply = staticmethod(lambda x, y: x.clone() * y)
    abs = staticmethod(lambda x: rushlight.abs(x))
    sign = staticmethod(lambda x: rushlight.sign(x))
    clip = staticmethod(lambda x, least, most: rushlight.clip(x, least, most))
    where = staticmethod(lambda x, y, z: rushlight.where(x, y, z))
    zeros_like = staticmethod(lambda x: rushlight.zeros_like(x))


def filled(shape, fill, p):
    """Return a tensor of ``shape`` with the dtype and on the device of ``p``."""
    if is_handled(p):
        return rushlight.full_like(p, fill).reshape(shape)
    d = p.dtype.numpy
    array = MetaArray(shape, d) if is_meta(p) else np.full(shape, fill, d)
    return from_array(placed(array, device_of(p)))


def _scalar(value):
    """Return a 0-dim state tensor: float64 if that is the default dtype, otherwise float32."""
    wide = rushlight.get_default_dtype() is float64
    return from_array(np.array(value, np.float64 if wide else np.float32))


def _real(t):
    return rushlight.view_as_real(t) if t.is_complex() else t
