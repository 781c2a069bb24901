"""Automatic mixed precision: the floating dtype to which an operation's operands are cast.

In an autocast region, an operation follows one of four rules:

* ``LOWER``: compute in the lower precision. Matrix products and convolutions do so.
* ``SINGLE``: compute in float32, because the lower precision would lose too much.
* ``WIDEST``: cast several tensors that must have one dtype to float32 if their dtypes differ.
* No rule: compute in the dtype of the operands.

The rule of each operation is PyTorch's for the CPU. An operation states the rule in its definition
(``autocast=LOWER``), and ``dispatch`` applies it. A function that consists of several operations,
or that checks dtypes itself, states the rule by ``@autocasts(LOWER)``. Outside autocast regions
neither slows a call down, because only a region raises ``mode.intercept``.
"""

import threading
from contextlib import contextmanager
from functools import wraps
from typing import Any

from rushlight.autograd import mode
from rushlight.dtype import bfloat16, float16, float32
from rushlight.remote import device_of
from rushlight.tensor import Tensor

__all__ = [
    "LOWER", "SINGLE", "WIDEST", "Policy", "autocasts", "local", "own_casts", "policy_of",
    "set_policy", "suspended", "using",
]  # fmt: skip

LOWER, SINGLE, WIDEST = "lower", "single", "widest"
_FLOATS = (float16, bfloat16, float32)  # float64 stays as it is


class _Local(threading.local):
    """This thread's settings for each device type, and its cache of casts."""

    def __init__(self):
        self.enabled: dict = {}
        self.dtypes: dict = {"cpu": bfloat16, "opencl": bfloat16}
        self.nesting = 0
        self.cache_enabled = True
        self.cache: dict = {}  # (id, dtype, grad mode) → (leaf, the leaf in lower precision)


local = _Local()


class Policy:
    """The casts where autocast is on for some types of devices. ``policy_of`` makes them.

    Attributes:
        dtypes: The lower precision for each type of device, by its name.
    """

    def __init__(self, dtypes):
        self.dtypes = dtypes

    def apply(self, op, args, params):
        """Run ``op`` on cast operands; NotImplemented if the operation has no rule."""
        if op.autocast is None:
            return NotImplemented
        from rushlight.ops.core.dispatch import apply

        args = self.cast(op.autocast, args)
        with suspended():
            return apply(op, args, params)

    def run(self, kind, function, args, named):
        """Run ``function`` on arguments that are cast by the rule ``kind``."""
        args, named = self.cast(kind, (args, named))
        with suspended():
            return function(*args, **named)

    def cast(self, kind, values):
        """Cast the tensors in ``values`` (nested tuples, lists and dicts) by the rule ``kind``."""
        kinds = {device_of(t).type for t in _flat(values)} if mode.metas else {"cpu"}
        lower = next((d for k, d in self.dtypes.items() if k in kinds), None)
        if lower is None:
            return values
        if kind == WIDEST:
            return _cast(values, _widest(values))
        return _cast(values, lower if kind == LOWER else float32)


_policies: dict = {}  # the items of ``dtypes`` → the only Policy with them


def policy_of(dtypes):
    """The Policy for ``dtypes``, always the same object; None if no type of device has one."""
    if not dtypes:
        return None
    key = tuple(sorted([(kind, d.name) for kind, d in dtypes.items()]))
    return _policies.setdefault(key, Policy(dict(dtypes)))


def _flat(values):
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list, dict)):
        for v in values.values() if isinstance(values, dict) else values:
            yield from _flat(v)


def _widest(values):
    found = {t.dtype for t in _flat(values) if t.dtype in _FLOATS}
    return found.pop() if len(found) == 1 else float32


def _cast(value: Any, dtype) -> Any:
    if isinstance(value, Tensor):
        return _converted(value, dtype)
    if isinstance(value, dict):
        return {k: _cast(v, dtype) for k, v in value.items()}
    if type(value) in (tuple, list):
        return type(value)([_cast(v, dtype) for v in value])
    return value


def _converted(t, dtype):
    """``t`` in ``dtype``. A weight is converted once in a region; the cache keeps the result."""
    if t.dtype is dtype or t.dtype not in _FLOATS:
        return t
    kept = (
        dtype is not float32 and t.dtype is float32 and t.requires_grad and t.is_leaf
        and t.view_of is None and local.cache_enabled and mode.recorder() is None
        and not mode.state.inference  # as PyTorch, which keeps none there
    )  # fmt: skip
    if not kept:
        return t.to(dtype)
    key = id(t), dtype, mode.records()  # a cast under no_grad has no history
    if key not in local.cache:
        local.cache[key] = t, t.to(dtype)
    return local.cache[key][1]


def set_policy(policy):
    """From now on, cast by ``policy`` in this thread; None turns casts off."""
    mode.exchange("autocast", policy)


@contextmanager
def using(policy):
    """Context in which ``policy`` casts: a checkpoint repeats its function under its old policy."""
    was = mode.state.autocast, local.enabled, local.dtypes
    dtypes = {} if policy is None else policy.dtypes
    local.enabled = {kind: kind in dtypes for kind in {*was[1], *dtypes}}
    local.dtypes = was[2] | dtypes
    set_policy(policy)
    try:
        yield
    finally:
        local.enabled, local.dtypes = was[1:]
        set_policy(was[0])


@contextmanager
def own_casts():
    """Context with a cache of cast weights of its own: empty at first, dropped at the end."""
    outside, local.cache = local.cache, {}
    try:
        yield
    finally:
        local.cache = outside


@contextmanager
def suspended():
    """Context without casts: the operands are already cast when an operation runs in it."""
    was, mode.state.autocast = mode.state.autocast, None
    try:
        yield
    finally:
        mode.state.autocast = was


def autocasts(kind):
    """Decorate a function whose arguments autocast casts by the rule ``kind``."""

    def decorate(function):
        @wraps(function)
        def call(*args, **named):
            if mode.intercept and mode.state.autocast is not None:
                return mode.state.autocast.run(kind, function, args, named)
            return function(*args, **named)

        return call

    return decorate
