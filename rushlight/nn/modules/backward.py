"""Backward hooks of a module: hooks that see the gradients of the module's inputs and outputs."""

import warnings

import rushlight
from rushlight.autograd.function import Function
from rushlight.autograd.mode import records
from rushlight.nn.modules.hooks import _WrappedHook
from rushlight.tensor import Tensor

__all__ = ["BackwardHookFunction", "BackwardHooks", "hook_last_operation"]


class BackwardHookFunction(Function):
    """The identity on tensors; in backward the function ``see`` may replace their gradients."""

    @staticmethod
    def forward(ctx, see, *tensors):
        ctx.see = see
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx, *grads):
        return None, *ctx.see(grads)


class BackwardHooks:
    """The full backward hooks of one call of a module.

    The call's inputs and outputs pass through an identity function. In backward, this function
    hands their gradients to the hooks.
    """

    def __init__(self, module, hooks, pre_hooks):
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_output = None
        self.inputs = []  # (shape, dtype, device) of each tensor input, None for other inputs
        self.watches_inputs = False

    def watch_inputs(self, args):
        """Pass the arguments through the identity; forward is called with the result."""
        self.inputs = [
            (a.shape, a.dtype, a.device) if isinstance(a, Tensor) else None for a in args
        ]
        args, self.watches_inputs = _watch(args, self._leave)
        return args

    def watch_outputs(self, result):
        """Pass forward's result through the identity; the caller receives the return value."""
        if not isinstance(result, Tensor | tuple):
            warnings.warn(
                f"{type(self.module).__name__}: full backward hooks need a module that returns a "
                f"Tensor or a tuple of Tensors, but it returned {type(result)}",
                stacklevel=5,
            )
        if isinstance(result, tuple):
            return _watch(result, self._enter)[0]
        return _watch((result,), self._enter)[0][0]

    def _enter(self, grad_output):
        for hook in self.pre_hooks:
            found = hook(self.module, grad_output)
            if found is not None:
                grad_output = _as_many("backward pre-hook", found, grad_output)
        self.grad_output = grad_output
        if not self.watches_inputs:
            self._leave_unwatched()
        return grad_output

    def _leave(self, grad_input):
        if self.grad_output is None:  # backward() started inside the module
            return grad_input
        grad_input = tuple(map(_zeros_for_none, grad_input, self.inputs))
        for hook in self.hooks:
            found = hook(self.module, grad_input, self.grad_output)
            if found is not None:
                grad_input = _as_many("backward hook", found, grad_input)
        self.grad_output = None
        return grad_input

    def _leave_unwatched(self):
        warnings.warn(
            f"{type(self.module).__name__}: the full backward hooks run as the gradient of the "
            "output arrives, because no input requires grad",
            stacklevel=2,
        )
        for hook in self.hooks:
            found = hook(self.module, (None,) * len(self.inputs), self.grad_output)
            if found is not None and not (type(found) is tuple and found.count(None) == len(found)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients: there is none to replace."
                )
        self.grad_output = None


def _zeros_for_none(grad, like):
    if grad is None and like is not None:
        return rushlight.zeros(like[0], dtype=like[1], device=like[2])
    return grad


def _as_many(what, found, grads):
    if len(found) != len(grads):
        raise RuntimeError(
            f"{what}: it returned gradients: got {len(found)}, but expected {len(grads)}"
        )
    return found


def _watch(values, see):
    """Pass those tensors of ``values`` that require grad through the identity.

    Returns:
        The new values, and whether any tensor was passed through.
    """
    where = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not where or not records():
        return values, False
    n = len(values)  # see_all must not hold `values`: the node would keep the tensors

    def see_all(grads):
        spread = [None] * n
        for i, grad in zip(where, grads, strict=True):
            spread[i] = grad
        found = see(tuple(spread))
        return [found[i] for i in where]

    watched = BackwardHookFunction.apply(see_all, *(values[i] for i in where))
    spread = list(values)
    for i, tensor in zip(where, watched, strict=True):
        spread[i] = tensor
    # A named tuple takes its fields as arguments, a plain tuple takes one iterable.
    return (tuple(spread) if type(values) is tuple else type(values)(*spread)), True


# The older kind ---------------------------------------------------------------------------


def hook_last_operation(module, hooks, args, result):
    """Hook the operation that made ``result``, because the older kind of hook sees only that."""
    node = _first_tensor(result).grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(_WrappedHook(hook, module))
    missing = _unseen(args, result, node)
    if missing is not None:
        warnings.warn(
            f"register_backward_hook is deprecated where {missing}; "
            "use register_full_backward_hook, which sees all gradients",
            FutureWarning,
            stacklevel=5,
        )


def _first_tensor(result):
    while not isinstance(result, Tensor):
        if isinstance(result, dict):
            result = next(v for v in result.values() if isinstance(v, Tensor))
        else:
            result = result[0]
    return result


def _tensors(values):
    """``values`` as a tuple of tensors, or None if it is neither a tensor nor such a tuple."""
    values = (values,) if isinstance(values, Tensor) else values
    if isinstance(values, tuple) and all(isinstance(v, Tensor) for v in values):
        return values
    return None


def _unseen(args, result, node):
    """The reason why a hook on ``node`` misses gradients of the module, or None."""
    outputs, inputs = _tensors(result), _tensors(args)
    if outputs is None:
        return "the module returns something else than a Tensor or a tuple of Tensors"
    if inputs is None:
        return "the module takes something else than Tensors"
    made_by = {t.grad_fn for t in outputs if t.grad_fn is not None}
    if made_by != {node}:
        return "the outputs come from several operations"
    if {t.grad_fn for t in inputs if t.grad_fn is not None} != {n for n, _ in node.next_functions}:
        return "forward has several operations"
    return None
