"""Hooks around an optimizer's step, for one optimizer and for all."""

import functools
from collections import OrderedDict

from rushlight.autograd import mode
from rushlight.autograd.hooks import RemovableHandle

__all__ = [
    "add_hook", "hooked", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook",
]  # fmt: skip

# Hooks on every optimizer's step, by handle id.
everywhere_before: OrderedDict = OrderedDict()
everywhere_after: OrderedDict = OrderedDict()


def add_hook(hooks, hook, prepend=False):
    """Put ``hook`` into ``hooks``; return the handle that removes it."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook):
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer.

    Args:
        hook: A function. It may return a pair (args, kwargs), with which the step is called
            instead.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> from rushlight.optim.optimizer import register_optimizer_step_pre_hook
    >>> with register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("step")):
    ...     torch.optim.SGD([torch.ones(2)]).step()
    step
    """
    return add_hook(everywhere_before, hook)


def register_optimizer_step_post_hook(hook):
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer.

    Args:
        hook: A function, whose result is ignored.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    >>> import rushlight as torch
    >>> from rushlight.optim.optimizer import register_optimizer_step_post_hook
    >>> with register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("done")):
    ...     torch.optim.SGD([torch.ones(2)]).step()
    done
    """
    return add_hook(everywhere_after, hook)


def hooked(step):
    """Wrap ``step`` so that the global hooks and the optimizer's own hooks run around it.

    If a subclass's step calls ``super().step()``, the hooks run once, around the outer step.
    """

    @functools.wraps(step)
    def wrapper(*args, **kwargs):
        self = args[0]
        if self._stepping:  # a subclass's step called super().step()
            return step(*args, **kwargs)
        self._opt_called = self._stepping = True
        try:
            own = self._optimizer_step_pre_hooks
            for hook in [*everywhere_before.values(), *own.values()]:
                found = hook(self, args, kwargs)
                if found is None:
                    continue
                if not (isinstance(found, tuple) and len(found) == 2):
                    raise RuntimeError(
                        f"{type(self).__name__}.step: a pre-hook must return None or a pair "
                        f"(args, kwargs), but it returned {found!r}"
                    )
                args, kwargs = found
            recorder = mode.recorder() if mode.intercept else None
            if mode.intercept and mode.state.profiler is not None:
                name = f"Optimizer.step#{type(self).__name__}.step"
                out = mode.state.profiler.region(name, step, *args, **kwargs)
            else:
                out = step(*args, **kwargs)
            if recorder is not None:
                recorder.stepped.setdefault(self, {})  # so that new hooks need a new program
            own = self._optimizer_step_post_hooks
            for hook in [*own.values(), *everywhere_after.values()]:
                hook(self, args, kwargs)
            return out
        finally:
            self._stepping = False

    wrapper.hooked = True  # type: ignore[attr-defined]
    return wrapper
