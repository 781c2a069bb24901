"""Hooks: what runs around a call or a registration, and the handles that remove it."""

import functools
import weakref
from collections import OrderedDict

from rushlight.autograd.hooks import Handle

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


class RemovableHandle(Handle):
    """Takes a hook away again: ``handle.remove()``, or leave its ``with`` block.

    >>> import rushlight as torch
    >>> layer = torch.nn.Identity()
    >>> with layer.register_forward_hook(lambda module, args, out: out + 1):
    ...     layer(torch.zeros(2))
    tensor([1., 1.])
    >>> layer(torch.zeros(2))
    tensor([0., 0.])
    """

    def __init__(self, hooks, *options):
        super().__init__(hooks)
        self.options = tuple(weakref.ref(option) for option in options)

    def remove(self):
        super().remove()
        for reference in self.options:
            option = reference()
            if option is not None:
                option.pop(self.id, None)

    # A handle that is copied or pickled with its module removes the hook of the copy.

    def __getstate__(self):
        return self.hooks(), self.id, [option() for option in self.options]

    def __setstate__(self, state):
        hooks, self.id, options = state
        self.hooks = weakref.ref(OrderedDict() if hooks is None else hooks)
        self.options = tuple([weakref.ref(o) for o in options if o is not None])
        Handle.skip(self.id)


def add_hook(hooks, hook, *, prepend=False, options=()):
    """Put ``hook`` into ``hooks``; ``options`` pairs dicts of flags with this hook's flag."""
    handle = RemovableHandle(hooks, *(flags for flags, _ in options))
    hooks[handle.id] = hook
    for flags, flag in options:
        if flag:
            flags[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


class BoundHook:
    """A hook that gets its module first and does not keep it alive."""

    def __init__(self, hook, module):
        self._bind(hook, module)

    def _bind(self, hook, module):
        self.hook = hook
        self.module = weakref.ref(module)
        functools.update_wrapper(self, hook)

    def __call__(self, *args, **kwargs):
        module = self.module()
        if module is None:
            raise RuntimeError(f"hook {self.hook!r}: its module no longer exists")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self):
        return self.hook, self.module()

    def __setstate__(self, state):
        self._bind(*state)


class Everywhere:
    """The hooks that hold for every module."""

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
    """Run ``hook(module, args)`` before every module's forward; it may return new args."""
    return add_hook(Everywhere.forward_pre, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Run ``hook(module, args, output)`` after every module's forward; it may replace output."""
    flags = (Everywhere.forward_with_kwargs, with_kwargs), (Everywhere.forward_always, always_call)
    return add_hook(Everywhere.forward, hook, options=flags)


def register_module_full_backward_pre_hook(hook):
    """Run ``hook(module, grad_output)`` before every module's backward."""
    return add_hook(Everywhere.backward_pre, hook)


def register_module_full_backward_hook(hook):
    """Run ``hook(module, grad_input, grad_output)`` after every module's backward."""
    return _backward_everywhere("register_module_full_backward_hook", hook, True)


def register_module_backward_hook(hook):
    """As ``register_module_full_backward_hook``, seeing only a module's last operation."""
    return _backward_everywhere("register_module_backward_hook", hook, False)


def _backward_everywhere(name, hook, full):
    if Everywhere.backward_is_full not in (None, full):
        raise RuntimeError(MIXED_KINDS.format(name))
    Everywhere.backward_is_full = full
    return add_hook(Everywhere.backward, hook)


def register_module_parameter_registration_hook(hook):
    """Run ``hook(module, name, parameter)`` at each registration; it may return another."""
    return add_hook(Everywhere.on_parameter, hook)


def register_module_buffer_registration_hook(hook):
    """Run ``hook(module, name, buffer)`` at each registration; it may return another."""
    return add_hook(Everywhere.on_buffer, hook)


def register_module_module_registration_hook(hook):
    """Run ``hook(module, name, submodule)`` at each registration; it may return another."""
    return add_hook(Everywhere.on_module, hook)


def registered(hooks, module, name, value):
    """``value`` after the registration hooks, each of which may replace it."""
    for hook in hooks.values():
        found = hook(module, name, value)
        if found is not None:
            value = found
    return value
