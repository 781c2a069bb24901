"""Calling a module: run the hooks and forward, and name the layer in errors."""

import warnings

from rushlight.autograd import mode
from rushlight.nn.modules.backward import BackwardHooks, hook_last_operation
from rushlight.nn.modules.hooks import MIXED_KINDS, Everywhere, add_hook
from rushlight.nn.modules.registry import Registry

__all__ = ["Call", "name_layer"]

# Global names, so that a call without hooks is fast: it needs no look-up in Everywhere.
_forward_pre, _forward = Everywhere.forward_pre, Everywhere.forward
_backward_pre, _backward = Everywhere.backward_pre, Everywhere.backward


class _Progress:
    """The state of one call: if it fails, the hooks with ``always_call`` read from here."""

    __slots__ = ("args", "kwargs", "ran", "result")

    def __init__(self, args, kwargs):
        self.args = args
        self.kwargs = kwargs
        self.result = None
        self.ran = set()


class Call(Registry):
    """The part of Module that is called and hooked."""

    def __call__(self, *args, **kwargs):
        own = self.__dict__
        try:
            if (
                own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"]
                or own["_backward_pre_hooks"] or "_compiled_call_impl" in own
                or _forward or _forward_pre or _backward or _backward_pre
                or (mode.intercept and mode.state.recorder is not None)  # without one call more
            ):  # fmt: skip
                call = own.get("_compiled_call_impl") or self._call_impl
                return call(*args, **kwargs)
            return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
        except Exception as error:
            if "_modules" not in own:
                kind = type(self).__name__
                raise AttributeError(f"{kind} is called before Module.__init__() ran") from None
            name_layer(error, self)
            raise

    def _call_impl(self, *args, **kwargs):
        if recording := mode.recorder():
            recording.touch_module(self)
        call = _Progress(args, kwargs)
        try:
            return self._call_hooked(call)
        except Exception:
            self._run_always_called(call)
            raise

    def _wrapped_call_impl(self, *args, **kwargs):
        """PyTorch's name of a call's first step: the compiled call, or ``_call_impl``."""
        call = self.__dict__.get("_compiled_call_impl") or self._call_impl
        return call(*args, **kwargs)

    def _slow_forward(self, *input, **kwargs):
        """``forward``; PyTorch's traces note the module here."""
        return self.forward(*input, **kwargs)

    def _replicate_for_data_parallel(self):
        """Return a copy whose buffers and modules can be exchanged, without parameters."""
        replica = self.__new__(type(self))
        replica.__dict__ = {
            **self.__dict__, "_parameters": {}, "_buffers": self._buffers.copy(),
            "_modules": self._modules.copy(), "_is_replica": True,
        }  # fmt: skip
        return replica

    def _get_backward_hooks(self):
        """The full backward hooks of a call, and the older ones."""
        return self._backward_hooks_of_call()

    def _get_backward_pre_hooks(self):
        """The hooks of a call that run before its backward."""
        return [*_backward_pre.values(), *self._backward_pre_hooks.values()]

    def _call_hooked(self, call):
        self._run_pre_hooks(call)
        full, older = self._backward_hooks_of_call()
        pre = self._get_backward_pre_hooks()
        watch = BackwardHooks(self, full, pre) if full or pre else None
        if watch is not None:
            call.args = watch.watch_inputs(call.args)
        call.result = self.forward(*call.args, **call.kwargs)
        for key, hook, with_kwargs, _ in self._forward_hooks_of_call():
            call.ran.add(key)
            _run_forward_hook(self, hook, with_kwargs, call)
        if watch is not None:
            call.result = watch.watch_outputs(call.result)
        if older:
            hook_last_operation(self, older, call.args, call.result)
        return call.result

    def _run_pre_hooks(self, call):
        for key, hook in [*_forward_pre.items(), *self._forward_pre_hooks.items()]:
            if key not in self._forward_pre_hooks_with_kwargs:
                found = hook(self, call.args)
                if found is not None:
                    call.args = found if isinstance(found, tuple) else (found,)
                continue
            found = hook(self, call.args, call.kwargs)
            if found is None:
                continue
            if not isinstance(found, tuple) or len(found) != 2:
                raise RuntimeError(
                    "forward pre-hook with_kwargs: it must return None or a pair (args, kwargs), "
                    f"but it returned {found}"
                )
            call.args, call.kwargs = found

    def _forward_hooks_of_call(self):
        """(key, hook, with_kwargs, always_call) of each forward hook, in running order."""
        theirs = Everywhere.forward_with_kwargs, Everywhere.forward_always
        ours = self._forward_hooks_with_kwargs, self._forward_hooks_always_called
        return [
            (key, hook, key in with_kwargs, key in always)
            for hooks, (with_kwargs, always) in ((_forward, theirs), (self._forward_hooks, ours))
            for key, hook in hooks.items()
        ]

    def _run_always_called(self, call):
        """Run the hooks with ``always_call`` that did not run before the call failed."""
        for key, hook, with_kwargs, always in self._forward_hooks_of_call():
            if not always or key in call.ran:
                continue
            try:
                _run_forward_hook(self, hook, with_kwargs, call)
            except Exception as error:
                warnings.warn(
                    "forward hook with always_call=True: its own error is silenced, because the "
                    f"call had failed before: {error}",
                    stacklevel=4,
                )

    def _backward_hooks_of_call(self):
        """Return the list of full backward hooks and the list of older backward hooks."""
        full: list = []
        older: list = []
        if _backward:
            (full if Everywhere.backward_is_full else older).extend(_backward.values())
        if self._backward_hooks:
            (full if self._is_full_backward_hook else older).extend(self._backward_hooks.values())
        return full, older

    # Registration -------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call ``hook(module, args)``, or ``hook(module, args, kwargs)``, before ``forward``.

        Args:
            hook: The function. It may return new arguments: a tuple or one value; with
                ``with_kwargs`` a pair (args, kwargs).

        >>> import rushlight as torch
        >>> layer = torch.nn.ReLU()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
        >>> layer(torch.zeros(1))
        tensor([1.])
        """
        flags = [(self._forward_pre_hooks_with_kwargs, with_kwargs)]
        return add_hook(self._forward_pre_hooks, hook, prepend=prepend, options=flags)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call ``hook(module, args, output)`` after ``forward``.

        Args:
            hook: The function. It may return another output, which replaces ``forward``'s.
            with_kwargs: Call ``hook(module, args, kwargs, output)``. Default: False.

        >>> import rushlight as torch
        >>> layer = torch.nn.ReLU()
        >>> handle = layer.register_forward_hook(lambda module, args, output: output + 1)
        >>> layer(torch.zeros(1))
        tensor([1.])
        >>> handle.remove()
        """
        flags = [
            (self._forward_hooks_with_kwargs, with_kwargs),
            (self._forward_hooks_always_called, always_call),
        ]
        return add_hook(self._forward_hooks, hook, prepend=prepend, options=flags)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_output)`` before the module's backward.

        Args:
            hook: The function of the outputs' gradients. It may return other gradients: a tuple.

        >>> import rushlight as torch
        >>> layer, x = torch.nn.ReLU(), torch.ones(1, requires_grad=True)
        >>> handle = layer.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 2,))
        >>> layer(x).backward()
        >>> x.grad
        tensor([2.])
        """
        return add_hook(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_input, grad_output)`` after the module's backward.

        Args:
            hook: The function of the inputs' and the outputs' gradients, two tuples. It may return
                another ``grad_input``.

        Raises:
            RuntimeError: The module has backward hooks of the older kind.

        >>> import rushlight as torch
        >>> layer, x = torch.nn.ReLU(), torch.ones(1, requires_grad=True)
        >>> handle = layer.register_full_backward_hook(lambda module, grads, _: (grads[0] * 2,))
        >>> layer(x).backward()
        >>> x.grad
        tensor([2.])
        """
        return self._add_backward_hook("register_full_backward_hook", hook, True, prepend)

    def register_backward_hook(self, hook):
        """Call ``hook(module, grad_input, grad_output)`` after the backward of the last operation.

        This is the older form of ``register_full_backward_hook``. The hook sees only the gradients
        of the last operation, which are those of the module if it has no other operation.

        Args:
            hook: The function of the gradients. It may return another ``grad_input``.

        Raises:
            RuntimeError: The module has full backward hooks.

        >>> import rushlight as torch
        >>> layer, x = torch.nn.ReLU(), torch.ones(1, requires_grad=True)
        >>> handle = layer.register_backward_hook(lambda module, grads, _: (grads[0] * 2,))
        >>> layer(x * 1).backward()
        >>> x.grad
        tensor([2.])
        """
        return self._add_backward_hook("register_backward_hook", hook, False, False)

    def _add_backward_hook(self, name, hook, full, prepend):
        if self._is_full_backward_hook not in (None, full):
            raise RuntimeError(MIXED_KINDS.format(name))
        self._is_full_backward_hook = full
        return add_hook(self._backward_hooks, hook, prepend=prepend)


def _run_forward_hook(module, hook, with_kwargs, call):
    if with_kwargs:
        found = hook(module, call.args, call.kwargs, call.result)
    else:
        found = hook(module, call.args, call.result)
    if found is not None:
        call.result = found


# Errors -----------------------------------------------------------------------------------


def name_layer(error, module):
    """Add to ``error`` the layer of ``module`` where it arose, as ``[in net.2 (Linear)]``.

    Each enclosing call extends the path, so in the end the path starts at the outermost module. The
    layer is appended to the message of rushlight's own errors. Errors of other code keep their
    message and get a note instead.
    """
    origin, kind, message, said, inner = getattr(error, "_layer", None) or (
        id(module), type(module).__name__, _own_message(error), None, None,
    )  # fmt: skip
    path = _path(module, origin, inner)
    if path is None:  # the failed module is called by this module but is not a part of it
        return
    where = f"in {path} ({kind})" if path else f"in {kind}"
    if message is not None:
        error.args = (f"{message} [{where}]",)
    else:
        if said is not None and said in error.__notes__:
            error.__notes__.remove(said)
        error.add_note(where)
    error._layer = origin, kind, message, where, (id(module), path)


def _path(module, origin, inner):
    """The path from ``module`` to the module with the id ``origin``; None if there is no path.

    ``inner`` is the (id, path) of the call inside this call. If that call was a child's, its path
    is extended, because a new search at each enclosing call takes seconds in deep models.
    """
    if inner is not None:
        for name, child in module._modules.items():
            if id(child) == inner[0]:
                return f"{name}.{inner[1]}" if inner[1] else name
    return next((name for name, m in module.named_modules() if id(m) == origin), None)


def _own_message(error):
    """The message of the error if rushlight's own code raised it, else None."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    raiser = trace.tb_frame.f_globals.get("__name__", "")
    plain = (
        isinstance(error, RuntimeError | TypeError | ValueError | IndexError | AssertionError)
        and type(error).__str__ is BaseException.__str__
        and len(error.args) == 1
        and isinstance(error.args[0], str)
    )
    return error.args[0] if plain and raiser.partition(".")[0] == "rushlight" else None
