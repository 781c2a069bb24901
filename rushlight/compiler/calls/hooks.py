"""Hooks of modules, optimizers and tensors: a recording holds only for the hooks that it ran.

The dtypes of tensors' gradients (``grad_dtype``) are checked with the hooks.
"""

import sys

from rushlight.autograd.hooks import RemovableHandle

__all__ = ["hook_functions", "hook_place"]

_KINDS = (
    "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks",
    "_optimizer_step_pre_hooks", "_optimizer_step_post_hooks",
)  # fmt: skip


def _hooks(owner):
    """The dicts of hooks of a module or optimizer."""
    return [owner.__dict__[name] for name in _KINDS if name in owner.__dict__]


def hook_functions(owner):
    """The hooks of a module or optimizer, as a list of functions."""
    return [hook for hooks in _hooks(owner) for hook in hooks.values()]


def _hooks_everywhere():
    modules = sys.modules.get("rushlight.nn.modules.hooks")
    optimizers = sys.modules.get("rushlight.optim.hooks")
    found = [optimizers.everywhere_before, optimizers.everywhere_after] if optimizers else []
    if modules is not None:
        kinds = ("forward_pre", "forward", "backward_pre", "backward")
        found += [getattr(modules.Everywhere, kind) for kind in kinds]
    return found


def hook_place(owners, tensors):
    """A function for ``Recorder.places``, which gives the condition that no relevant hook changed.

    Relevant are the hooks of ``owners`` (modules and optimizers), of ``tensors``, and the global
    hooks. The condition fails if any hook anywhere is added or removed, if any module gets another
    class, or if the ``grad_dtype`` of any tensor is set. The program still serves if the relevant
    hooks, classes and dtypes are the same.
    """
    kinds = [*map(type, owners)]

    def find():
        found = [hooks for owner in owners for hooks in _hooks(owner)] + _hooks_everywhere()
        found += [t.node.hooks or () for t in tensors if t.node is not None]
        same = all(type(owner) is kind for owner, kind in zip(owners, kinds, strict=True))
        dtypes = tuple([getattr(t.node, "grad_dtype", ()) for t in tensors])
        # The handles' numbers, which no two hooks share.
        keys = (same, dtypes, *[tuple(h) for h in found])
        return [("{0}.changes", (RemovableHandle,), RemovableHandle.changes, keys)]

    return find
