"""Checkpoints: drop the intermediate values of a part of a model; backward computes them again."""

import contextlib
import enum
import warnings

import rushlight as torch
from rushlight.autograd import backward as run_backward
from rushlight.autograd import mode
from rushlight.autograd.function import Function
from rushlight.autograd.recompute import forgetful, tensors_in
from rushlight.errors import GraphError
from rushlight.nn import Sequential
from rushlight.ops.core.autocast import own_casts, using
from rushlight.random import all_states, fork_rng, restore
from rushlight.tensor import Tensor

__all__ = [
    "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "checkpoint",
    "checkpoint_sequential", "create_selective_checkpoint_contexts", "detach_variable",
    "get_device_states", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop", "set_device_states",
]  # fmt: skip

_ASK = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly; "
    "use_reentrant=False is recommended, and without it this call is use_reentrant=True"
)
_SELECTIVE = (
    "checkpoint: with use_reentrant=True it works neither under torch.autograd.grad nor with "
    "backward(inputs=...); pass use_reentrant=False, or call backward() without inputs"
)


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function gave other results than the first run."""


def noop_context_fn():
    """Return two contexts that do nothing: the default of ``checkpoint(context_fn=...)``.

    Returns:
        Tuple of two context managers.

    >>> import rushlight as torch
    >>> len(torch.utils.checkpoint.noop_context_fn())
    2
    """
    return contextlib.nullcontext(), contextlib.nullcontext()


class CheckpointPolicy(enum.Enum):
    """What a function of ``create_selective_checkpoint_contexts`` says of an operation.

    >>> import rushlight as torch
    >>> torch.utils.checkpoint.CheckpointPolicy.MUST_SAVE
    <CheckpointPolicy.MUST_SAVE: 0>
    """

    (
        MUST_SAVE, PREFER_SAVE, MUST_RECOMPUTE, PREFER_RECOMPUTE, MUST_CPU_OFFLOAD,
        PREFER_CPU_OFFLOAD,
    ) = range(6)  # fmt: skip


def create_selective_checkpoint_contexts(policy_fn_or_list, allow_cache_entry_mutation=False):
    """Return two contexts for ``checkpoint(context_fn=...)``.

    In PyTorch the results of the operations that are named are kept. Here all are computed again,
    which gives the same numbers.

    Args:
        policy_fn_or_list: A function that gives a ``CheckpointPolicy``, or a list of operations.
        allow_cache_entry_mutation: Accepted without effect.

    Returns:
        Tuple of two context managers.

    Raises:
        TypeError: ``policy_fn_or_list`` is neither a function nor a list.

    >>> import rushlight as torch
    >>> from functools import partial
    >>> keep = partial(torch.utils.checkpoint.create_selective_checkpoint_contexts, [])
    >>> f = lambda x: x.sin().sum()
    >>> torch.utils.checkpoint.checkpoint(f, torch.zeros(1), use_reentrant=False, context_fn=keep)
    tensor(0.)
    """
    if not (isinstance(policy_fn_or_list, list) or callable(policy_fn_or_list)):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    return noop_context_fn()


def detach_variable(inputs):
    """Return detached tensors that require a gradient where the given ones do.

    Args:
        inputs: A tuple; what is no tensor is returned as it is.

    Returns:
        A tuple.

    Raises:
        RuntimeError: ``inputs`` is no tuple.

    >>> import rushlight as torch
    >>> x = torch.ones(1, requires_grad=True) * 2
    >>> torch.utils.checkpoint.detach_variable((x, 3))
    (tensor([2.], requires_grad=True), 3)
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    return tuple(
        [x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs]
    )


@contextlib.contextmanager
def set_checkpoint_early_stop(enable):
    """Accept PyTorch's option without effect: the second run always runs the whole function.

    Args:
        enable: Ignored.

    Returns:
        Context manager that does nothing.

    >>> import rushlight as torch
    >>> with torch.utils.checkpoint.set_checkpoint_early_stop(False):
    ...     pass
    """
    yield


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled):
    """Accept PyTorch's option without effect: it would only lengthen messages.

    Args:
        enabled: Ignored.

    Returns:
        Context manager that does nothing.

    >>> import rushlight as torch
    >>> with torch.utils.checkpoint.set_checkpoint_debug_enabled(True):
    ...     pass
    """
    yield


def checkpoint(
    function, *args, use_reentrant=None, context_fn=noop_context_fn, determinism_check="default",
    debug=False, early_stop=True, **kwargs,
):  # fmt: skip
    """Call a function and keep only its inputs and outputs until backward.

    Backward runs ``function`` again to compute the values that gradients need. That saves memory
    and costs time.

    ``use_reentrant=False`` works like a call without a checkpoint. ``use_reentrant=True`` is the
    older implementation: some input must require grad, the function takes no keyword arguments, and
    only ``backward()`` computes gradients. In a compiled function a checkpoint is an ordinary call.

    Args:
        function: The function, or a module. Both runs must compute the same.
        *args, **kwargs: Arguments of ``function``. ``preserve_rng_state=False`` is taken by the
            checkpoint itself: the second run then draws other random numbers. Default: both draw
            the same.
        use_reentrant: Which implementation works. Default: True, with a warning.
        context_fn: A function that returns two contexts, for the first and the second run.
            Default: contexts that do nothing.
        determinism_check: ``"default"`` compares shapes and dtypes of both runs' results;
            ``"none"`` does not. Default: ``"default"``.
        debug: Accepted without effect, but only with ``use_reentrant=False``. Default: False.
        early_stop: Accepted without effect: the second run always runs the whole function.

    Returns:
        The result of ``function``.

    Raises:
        ValueError: An option belongs to the other value of ``use_reentrant``.
        CheckpointError: The second run's results have other shapes or dtypes. The error comes in
            backward.

    >>> import rushlight as torch
    >>> from rushlight.utils.checkpoint import checkpoint
    >>> x = torch.ones(2, requires_grad=True)
    >>> checkpoint(lambda x: (2 * x).exp(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([14.7781, 14.7781])
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant is None:
        warnings.warn(_ASK, stacklevel=2)
        use_reentrant = True
    if use_reentrant and kwargs:
        raise ValueError(f"checkpoint: Unexpected keyword arguments: {', '.join(kwargs)}")
    if use_reentrant and (context_fn is not noop_context_fn or debug is not False):
        raise ValueError(
            "checkpoint: passing context_fn or debug is only supported when use_reentrant=False"
        )
    if determinism_check not in ("default", "none"):
        raise ValueError(
            "checkpoint: determinism_check should be one of ['default', 'none'], but got "
            f"{determinism_check}"
        )
    if mode.recorder() is not None:
        return function(*args, **kwargs)
    if use_reentrant:
        return CheckpointFunction.apply(function, preserve, *args)
    call = _Call(function, args, kwargs, preserve, context_fn(), determinism_check == "default")
    return forgetful(call.first, call.again) if mode.records() else call.first()


def get_device_states(*args):
    """Return the devices of tensors that are not on the CPU, and their generators' states.

    Args:
        *args: Tensors, in nested lists, tuples and dicts, too. Other objects are skipped.

    Returns:
        A list of the devices' numbers, and a list of as many states.

    >>> import rushlight as torch
    >>> torch.utils.checkpoint.get_device_states(torch.ones(1))
    ([], [])
    """
    places = {t.device for t in tensors_in(args) if t.device.type == "cuda"}
    numbers = sorted(place.index or 0 for place in places)
    return numbers, [torch.cuda.get_rng_state(i) for i in numbers]


def set_device_states(devices, states, *, device_type=None):
    """Give the generators of devices the states that ``get_device_states`` returned.

    Args:
        devices, states: The two lists that ``get_device_states`` returned.
        device_type: Accepted without effect.

    >>> import rushlight as torch
    >>> torch.utils.checkpoint.set_device_states([], [])
    """
    for i, state in zip(devices, states, strict=True):
        torch.cuda.set_rng_state(state, i)


class _Call:
    """A call that can be made a second time."""

    def __init__(self, function, args, kwargs, preserve, contexts, checks):
        self.function = function
        self.args, self.kwargs = args, kwargs
        self.contexts = contexts
        self.state = all_states() if preserve else None
        self.policy = mode.state.autocast
        self.checks = checks

    def first(self):
        # own_casts hides casts that autocast made before, because the second run has none of them.
        with own_casts(), self.contexts[0]:
            result = self.function(*self.args, **self.kwargs)
        self.kinds = _kinds(result)
        given = tensors_in([self.args, self.kwargs])
        self.versions = [(t.cell, t.cell[0], tuple(t.shape)) for t in given]
        return result

    def again(self):
        for cell, clock, shape in self.versions:
            if cell[0] != clock:
                raise GraphError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: an input {shape} of a checkpoint was written after the "
                    "call, so it cannot be computed again; write to a clone()"
                )
        recorder = mode.recorder()
        # The arguments have elements. ``vmap`` needs the graph of these, and random numbers anew
        # would be others.
        batches = recorder is not None and recorder.batches
        eager = mode.suspended() if batches else contextlib.nullcontext()
        with eager, _same_numbers(self.state), using(self.policy), own_casts(), self.contexts[1]:
            result = self.function(*self.args, **self.kwargs)
        kinds = _kinds(result)
        if kinds != self.kinds and (self.checks or len(kinds) != len(self.kinds)):
            raise CheckpointError(
                "checkpoint: recomputed values have different metadata than during the forward "
                f"pass: saved {self.kinds}, recomputed {kinds}; the function must do the same "
                "each time"
            )
        return result


def _kinds(result):
    return [(tuple(t.shape), t.dtype) for t in tensors_in(result)]


@contextlib.contextmanager
def _same_numbers(state):
    """Draw random numbers from ``state`` on in the ``with`` block; restore the generator after it.

    If ``state`` is None, the generator is left alone.
    """
    if state is None:
        yield
        return
    with fork_rng():
        restore(state)
        yield


# The older way ----------------------------------------------------------------------------


class CheckpointFunction(Function):
    """The function behind ``checkpoint`` with ``use_reentrant=True``.

    Its backward calls ``backward`` on the second run, which adds to the ``grad`` of leaves by
    itself.

    >>> import rushlight as torch
    >>> from rushlight.utils.checkpoint import CheckpointFunction
    >>> x = torch.ones(2, requires_grad=True)
    >>> CheckpointFunction.apply(torch.exp, True, x).sum().backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """

    @staticmethod
    def forward(ctx, function, preserve, *args):
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            warnings.warn(
                "None of the inputs have requires_grad=True. Gradients will be None; "
                "use_reentrant=False does not need one",
                stacklevel=4,
            )
        ctx.again = function
        ctx.state = all_states() if preserve else None
        ctx.policy = mode.state.autocast
        ctx.rest = [None if isinstance(a, Tensor) else a for a in args]
        ctx.save_for_backward(*[a if isinstance(a, Tensor) else None for a in args])
        return function(*args)

    @staticmethod
    def backward(ctx, *grads):
        if mode.state.targets is not None:
            raise RuntimeError(_SELECTIVE)
        given = [
            rest if t is None else t.detach().requires_grad_(t.requires_grad)
            for t, rest in zip(ctx.saved_tensors, ctx.rest, strict=True)
        ]
        with mode.enable_grad(), _same_numbers(ctx.state), using(ctx.policy):
            found = ctx.again(*given)
        found = found if isinstance(found, tuple | list) else (found,)
        pairs = [
            (t, g)
            for t, g in zip(found, grads, strict=True)
            if isinstance(t, Tensor) and t.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "checkpoint: none of output has requires_grad=True, this checkpoint() is not "
                "necessary"
            )
        run_backward(*zip(*pairs, strict=True))
        return None, None, *[t.grad if isinstance(t, Tensor) else None for t in given]


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Call functions one after another, in parts, and checkpoint all parts but the last.

    Args:
        functions: A ``Sequential``, or a list of modules or functions.
        segments: Number of parts.
        input: The argument of the first function.
        use_reentrant: As for ``checkpoint``. Default: True, with a warning.
        **kwargs: ``preserve_rng_state``, as for ``checkpoint``.

    Returns:
        The result of the last function.

    Raises:
        ValueError: A keyword is not ``preserve_rng_state``, or there are more segments than
            functions.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> x = torch.ones(4, 2)
    >>> torch.utils.checkpoint.checkpoint_sequential(net, 2, x, use_reentrant=False).shape
    torch.Size([4, 1])
    """
    if use_reentrant is None:
        warnings.warn(_ASK, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(
            f"checkpoint_sequential: Unexpected keyword arguments: {', '.join(kwargs)}"
        )
    functions = list(functions.children() if isinstance(functions, Sequential) else functions)
    size = len(functions) // segments
    if not size:
        raise ValueError(
            f"checkpoint_sequential: {segments} segments of {len(functions)} functions cannot be"
        )
    for k in range(segments - 1):
        part = functions[k * size : (k + 1) * size]
        input = checkpoint(
            _in_turn(part), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return _in_turn(functions[(segments - 1) * size :])(input)


def _in_turn(functions):
    """One function of several, each on the result of the one before."""

    def run(input):
        for function in functions:
            input = function(input)
        return input

    return run
