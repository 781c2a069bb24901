"""Hooks: functions that run around a call or at a registration, and handles to remove them."""

import functools
import weakref
from collections import OrderedDict

from rushlight.autograd.hooks import RemovableHandle

__all__ = [
    "RemovableHandle", "register_module_backward_hook",
    "register_module_buffer_registration_hook", "register_module_forward_hook",
    "register_module_forward_pre_hook", "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook", "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]  # fmt: skip

MIXED_KINDS = (
    "{}: the backward hooks here are of the other kind (full or not), and the two cannot be "
    "mixed; use register_full_backward_hook for all"
)


def add_hook(hooks, hook, *, prepend=False, options=()):
    """Put ``hook`` into the dict ``hooks`` and return the handle that removes the hook.

    ``options`` holds pairs (dict of flags, this hook's flag). The dict gets an entry if the flag is
    true. With ``prepend`` the hook runs before the hooks that are registered already.
    """
    handle = RemovableHandle(hooks, *(flags for flags, _ in options))
    hooks[handle.id] = hook
    for flags, flag in options:
        if flag:
            flags[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


class _WrappedHook:
    """A hook that is called with its module as the first argument, if it has a module.

    The hook holds only a weak reference to the module. The class has PyTorch's name and state,
    because pickled modules contain such hooks.
    """

    def __init__(self, hook, module=None):
        self.__setstate__({"hook": hook, "with_module": module is not None, "module": module})
        functools.update_wrapper(self, hook)

    def __call__(self, *args, **kwargs):
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError(f"hook {self.hook!r}: its module no longer exists")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self):
        state = {"hook": self.hook, "with_module": self.with_module}
        return {**state, "module": self.module()} if self.with_module else state

    def __setstate__(self, state):
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            self.module = weakref.ref(state["module"])


class Everywhere:
    """The hooks that run for every module."""

    forward_pre: OrderedDict = OrderedDict()
    forward: OrderedDict = OrderedDict()
    forward_with_kwargs: OrderedDict = OrderedDict()
    forward_always: OrderedDict = OrderedDict()
    backward_pre: OrderedDict = OrderedDict()
    backward: OrderedDict = OrderedDict()
    backward_is_full: bool | None = None
    on_parameter: OrderedDict = OrderedDict()
    on_buffer: OrderedDict = OrderedDict()
    on_module: OrderedDict = OrderedDict()


def register_module_forward_pre_hook(hook):
    """Call ``hook(module, args)`` before the ``forward`` of every module.

    Args:
        hook: The function. It may return new arguments: a tuple or one value.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> handle = torch.nn.modules.module.register_module_forward_pre_hook(
    ...     lambda module, args: args[0] + 1
    ... )
    >>> torch.nn.ReLU()(torch.ones(1))
    tensor([2.])
    >>> handle.remove()
    """
    return add_hook(Everywhere.forward_pre, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Call ``hook(module, args, output)`` after the ``forward`` of every module.

    Args:
        hook: The function. It may return another output, which replaces ``forward``'s.
        with_kwargs: Call ``hook(module, args, kwargs, output)``. Default: False.
        always_call: Call the hook after a failed ``forward``, too. Default: False.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> handle = torch.nn.modules.module.register_module_forward_hook(
    ...     lambda module, args, output: output + 1
    ... )
    >>> torch.nn.ReLU()(torch.ones(1))
    tensor([2.])
    >>> handle.remove()
    """
    flags = (Everywhere.forward_with_kwargs, with_kwargs), (Everywhere.forward_always, always_call)
    return add_hook(Everywhere.forward, hook, options=flags)


def register_module_full_backward_pre_hook(hook):
    """Call ``hook(module, grad_output)`` before the backward of every module.

    Args:
        hook: The function of the outputs' gradients. It may return other gradients: a tuple.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.
    """
    return add_hook(Everywhere.backward_pre, hook)


def register_module_full_backward_hook(hook):
    """Call ``hook(module, grad_input, grad_output)`` after the backward of every module.

    Args:
        hook: The function of the inputs' and the outputs' gradients, two tuples. It may return
            another ``grad_input``.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    Raises:
        RuntimeError: There are such hooks of the older kind.
    """
    return _backward_everywhere("register_module_full_backward_hook", hook, True)


def register_module_backward_hook(hook):
    """Call ``hook(module, grad_input, grad_output)`` after the backward of every last operation.

    This is the older form of ``register_module_full_backward_hook``. The hook sees only the
    gradients of the last operation of each module.

    Args:
        hook: The function of the gradients. It may return another ``grad_input``.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    Raises:
        RuntimeError: There are such hooks of the newer kind.
    """
    return _backward_everywhere("register_module_backward_hook", hook, False)


def _backward_everywhere(name, hook, full):
    if Everywhere.backward_is_full not in (None, full):
        raise RuntimeError(MIXED_KINDS.format(name))
    Everywhere.backward_is_full = full
    return add_hook(Everywhere.backward, hook)


def register_module_parameter_registration_hook(hook):
    """Call ``hook(module, name, parameter)`` when a parameter is assigned to any module.

    Args:
        hook: The function. It may return another parameter to register instead.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> handle = torch.nn.modules.module.register_module_parameter_registration_hook(
    ...     lambda module, name, parameter: print(name)
    ... )
    >>> layer = torch.nn.Linear(2, 3)
    weight
    bias
    >>> handle.remove()
    """
    return add_hook(Everywhere.on_parameter, hook)


def register_module_buffer_registration_hook(hook):
    """Call ``hook(module, name, buffer)`` when a buffer is assigned to any module.

    Args:
        hook: The function. It may return another buffer to register instead.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> handle = torch.nn.modules.module.register_module_buffer_registration_hook(
    ...     lambda module, name, buffer: print(name)
    ... )
    >>> layer = torch.nn.BCELoss(torch.ones(2))
    weight
    >>> handle.remove()
    """
    return add_hook(Everywhere.on_buffer, hook)


def register_module_module_registration_hook(hook):
    """Call ``hook(module, name, submodule)`` when a submodule is assigned to any module.

    Args:
        hook: The function. It may return another submodule to register instead.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> handle = torch.nn.modules.module.register_module_module_registration_hook(
    ...     lambda module, name, submodule: print(name)
    ... )
    >>> layer = torch.nn.Sequential(torch.nn.ReLU())
    0
    >>> handle.remove()
    """
    return add_hook(Everywhere.on_module, hook)


def registered(hooks, module, name, value):
    """Run the registration ``hooks``, each of which may replace ``value``; return the value."""
    for hook in hooks.values():
        found = hook(module, name, value)
        if found is not None:
            value = found
    return value
