"""Hooks: functions that run when a gradient passes a node, and that may replace the gradient."""

import itertools
import weakref

from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.errors import GraphError
from rushlight.remote import device_of
from rushlight.tensor import Tensor, from_array

__all__ = [
    "RemovableHandle",
    "Retained",
    "add_hook",
    "move_retained",
    "retained",
    "run_after",
    "run_before",
    "run_on_result",
    "tell_accumulated",
]


class RemovableHandle:
    """The key of a hook, which removes the hook by ``remove()`` or at the end of a ``with`` block.

    Args:
        hooks_dict: The dict that holds the hook, under the handle's ``id``.
        *options: Dicts that hold options of the hook, under the same key.
        extra_dict: One more such dict, or a list of them. Default: none.

    >>> import rushlight as torch
    >>> layer = torch.nn.Identity()
    >>> with layer.register_forward_hook(lambda module, args, out: out + 1):
    ...     layer(torch.zeros(2))
    tensor([1., 1.])
    >>> layer(torch.zeros(2))
    tensor([0., 0.])
    """

    _ids = itertools.count()
    changes = 0  # how many times hooks were added or removed, anywhere

    def __init__(self, hooks_dict, *options, extra_dict=None):
        if extra_dict is not None:
            options += (extra_dict,) if isinstance(extra_dict, dict) else (*extra_dict,)
        RemovableHandle.changes += 1
        for changed in (hooks_dict, *options):
            _note_change(changed)
        self.hooks = weakref.ref(hooks_dict)
        self.options = tuple([weakref.ref(option) for option in options])
        self.id = next(RemovableHandle._ids)

    def remove(self):
        """Remove the hook, if it is still there."""
        RemovableHandle.changes += 1
        for reference in (self.hooks, *self.options):
            found = reference()
            if found is not None:
                _note_change(found)
                found.pop(self.id, None)

    @property
    def hooks_dict_ref(self):
        """The weak reference to ``hooks_dict``."""
        return self.hooks

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()

    def __getstate__(self):
        return self.hooks(), self.id, tuple([option() for option in self.options])

    def __setstate__(self, state):
        hooks, self.id, *rest = state
        self.hooks = weakref.ref(_Hooks() if hooks is None else hooks)
        self.options = tuple([weakref.ref(o) for o in (rest[0] if rest else ()) if o is not None])
        # The ids of later handles must be larger than the restored id.
        later = max(next(RemovableHandle._ids), self.id + 1)
        RemovableHandle._ids = itertools.count(later)


class _Hooks(dict):
    """Handle id → hook. Unlike a plain dict, this class supports weak references.

    Attributes:
        traced: The hooks are on a node that a trace made.
    """

    __slots__ = ("__weakref__", "traced")


def _note_change(hooks):
    """Tell a trace that ``hooks`` change, unless they are on a node of the trace itself."""
    recording = mode.recorder() if mode.intercept else None
    if recording is not None and not getattr(hooks, "traced", False):
        recording.note_hooks(hooks)


def add_hook(node, kind, hook):
    """Add a ``tensor``, ``pre``, ``post``, ``retain`` or ``accumulated`` hook to ``node``."""
    if node.hooks is None:
        node.hooks = _Hooks()
        recorder = mode.recorder() if mode.intercept else None
        node.hooks.traced = recorder is not None and not recorder.is_outer_node(node)
    handle = RemovableHandle(node.hooks)
    node.hooks[handle.id] = (kind, hook)
    return handle


class Retained:
    """The hook of ``retain_grad``: it keeps the gradient of a tensor that is no leaf."""

    def __init__(self, tensor):
        self.ref = weakref.ref(tensor)

    def __call__(self, g):
        t = self.ref()
        if t is not None:
            t._grad = g.clone() if t._grad is None else t._grad + g


def retained(x, node):
    """{handle id: (kind, hook)} of the hook on ``node`` that retains the gradient of ``x``.

    Empty if there is no such hook.
    """
    hooks = node.hooks if node is not None and node.hooks else {}
    return {k: h for k, h in hooks.items() if h[0] == "retain" and h[1].ref() is x}


def move_retained(x, before):
    """Move the hook of ``retain_grad`` from the old node ``before`` of ``x`` to its new node."""
    for k, (kind, hook) in retained(x, before).items():
        if x.node is not None:
            del before.hooks[k]
            add_hook(x.node, kind, hook)


def _as_tensor(g):
    return from_array(g) if type(g) is ndarray else g


def _of_kind(node, kind):
    """The hooks of one kind, as a new list, because a hook may remove itself."""
    return [hook for k, hook in list(node.hooks.values()) if k == kind]


def run_on_result(node, g, symbolic):
    """``g`` after the hooks on the tensor. Their computations are recorded only if ``symbolic``.

    All hooks get the same tensor, up to one that replaces it: a hook may leave attributes on the
    tensor for the next one.
    """
    was = mode.state.grad
    if not symbolic and was:
        mode.set_grad(False)
    try:
        given = _as_tensor(g)
        for kind in ("tensor", "retain"):
            for hook in _of_kind(node, kind):
                given = _replaced(hook, given)
        if type(g) is not ndarray:
            return given
        late.refresh(given)
        return given._array
    finally:
        if mode.state.grad is not was:
            mode.set_grad(was)


def _replaced(hook, g):
    found = hook(g)
    if found is None:
        return g
    _check(hook, g, found)
    return found


def _check(hook, given, found):
    """Raise unless the gradient ``given`` may be replaced by what a hook returned for it."""
    if found is given or found is None:
        return
    if not isinstance(found, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(found).__name__}'")
    name = getattr(hook, "__name__", "<unknown>")
    if given is None:
        raise GraphError("can't replace a None gradient with a non-None value")
    if found.dtype is not given.dtype or found.layout is not given.layout:
        raise GraphError(
            f"hook {name!r} has changed the type of value (was {given.type()} got {found.type()})"
        )
    if device_of(found) is not device_of(given):
        raise GraphError(
            f"hook {name!r} has changed the device of value (was {given.device} got {found.device})"
        )
    if found.shape != given.shape:
        raise GraphError(
            f"hook {name!r} has changed the size of value: {tuple(given.shape)} became "
            f"{tuple(found.shape)}"
        )


def _of_outputs(g):
    """The gradients of a node's outputs; ``g`` is a list if there are several outputs."""
    return g if type(g) is list else [g]


def _all_replaced(hook, given, found):
    """What ``hook`` returned in place of the gradients ``given``; ``given`` if it is None."""
    if found is None:
        return given
    if not isinstance(found, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(found).__name__}'")
    if len(found) != len(given):
        raise GraphError(
            f"hook {getattr(hook, '__name__', '<unknown>')!r} has returned an incorrect number of "
            f"values (got {len(found)}, but expected {len(given)})"
        )
    for before, after in zip(given, found, strict=True):
        _check(hook, before, after)
    return found


def _raw(given, like):
    """The gradients ``given`` as arrays if those of ``like`` are arrays, else as tensors."""
    raw = ndarray in map(type, like)
    return [x._array if raw and x is not None else x for x in given]


def run_before(node, g):
    """``g`` after the hooks that run before the node."""
    given = first = tuple(map(_as_tensor, _of_outputs(g)))
    for hook in _of_kind(node, "pre"):
        given = _all_replaced(hook, given, hook(given))
    if given is first:
        return g
    found = _raw(given, _of_outputs(g))
    return found if type(g) is list else found[0]


def run_after(node, grads, g):
    """``grads`` after the hooks that run after the node; the node computed them from ``g``."""
    given = first = tuple(map(_as_tensor, grads))
    above = tuple(map(_as_tensor, _of_outputs(g)))
    for hook in _of_kind(node, "post"):
        given = _all_replaced(hook, given, hook(given, above))
    return grads if given is first else _raw(given, _of_outputs(g))


def tell_accumulated(node, tensor):
    """Run the hooks that were registered for the time after a leaf's gradient is accumulated."""
    with mode.no_grad():
        for hook in _of_kind(node, "accumulated"):
            found = hook(tensor)
            if found is None or found is tensor:
                continue
            _check(hook, tensor, found)
            raise RuntimeError(
                "Tensor post accumulate grad hooks should return None: write to tensor.grad"
            )
