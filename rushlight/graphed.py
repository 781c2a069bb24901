"""``make_graphed_callables``: functions whose forward and backward are graphs of a device.

Each callable gets a graph for its forward and one for its backward, with inputs, results and
gradients at fixed places. A call copies its arguments to these places and replays.
"""

from typing import Any

import rushlight
from rushlight.autograd.function import Function, once_differentiable
from rushlight.autograd.gradient import grad
from rushlight.nn import Module
from rushlight.ops.create.filled import empty_like
from rushlight.tensor import Tensor
from rushlight.utils import _pytree as pytree

__all__ = ["graphed"]


def graphed(devices, callables, sample_args, warmups, allow_unused, pool):
    """See ``Devices.make_graphed_callables``."""
    if rushlight.is_autocast_enabled() and rushlight.is_autocast_cache_enabled():
        raise RuntimeError(
            "make_graphed_callables does not support the autocast caching. Please set "
            "`cache_enabled=False`."
        )
    several = isinstance(callables, tuple)
    pairs = zip(callables, sample_args, strict=True) if several else [(callables, sample_args)]
    works = [_Work(devices, call, args, allow_unused) for call, args in pairs]
    pool = devices.graph_pool_handle() if pool is None else pool
    devices.synchronize()
    with devices.stream(devices.Stream()):
        for work in works:
            for _ in range(warmups):
                work.warm_up()
    devices.synchronize()
    # Graphs share memory, so they are captured in the order in which they will run.
    for work in works:
        work.capture_forward(pool)
    for work in reversed(works):
        work.capture_backward(pool)
    made = [work.installed() for work in works]
    return tuple(made) if several else made[0]


def _check(call, leaves):
    if isinstance(call, Module):
        if call._backward_hooks or call._forward_hooks or call._forward_pre_hooks:
            raise AssertionError(
                "Modules must not have hooks registered at the time they are passed. However, "
                "registering hooks on modules after passing them through make_graphed_callables is "
                "allowed."
            )
        if any(b.requires_grad for b in call.buffers()):
            raise AssertionError(
                "In any :class:`~torch.nn.Module` passed to :func:`~make_graphed_callables`, only "
                "parameters may be trainable. All buffers must have ``requires_grad=False``."
            )
    if not all(isinstance(x, Tensor) for x in leaves):
        raise AssertionError(
            "In the beta API, sample_args for each callable must contain only Tensors. Other types "
            "are not allowed."
        )


class _Work:
    """One callable with its graphs, and the tensors at fixed places.

    Attributes:
        inputs: The arguments, then the parameters of a module.
        outputs: The results of the forward graph.
        slopes: For each output the gradient that the backward graph reads, or None.
        found: For each input the gradient that the backward graph makes, or None.
    """

    def __init__(self, devices, call, args, allow_unused):
        self.devices, self.call, self.args, self.allow_unused = devices, call, args, allow_unused
        leaves = pytree.arg_tree_leaves(*args)
        _check(call, leaves)
        self.parameters = tuple(call.parameters()) if isinstance(call, Module) else ()
        self.arguments, self.inputs = len(leaves), (*leaves, *self.parameters)
        self.forward, self.backward = devices.Graph(), devices.Graph()
        self.outputs: Any = ()
        self.slopes: Any = ()
        self.found: Any = ()

    def _gradients(self, outputs, slopes):
        wanted = [x for x in self.inputs if x.requires_grad]
        return grad(outputs, wanted, slopes, only_inputs=True, allow_unused=self.allow_unused)

    def warm_up(self):
        """Call once as usual, so that all kernels are made before the capture."""
        outputs = [o for o in pytree.tree_leaves(self.call(*self.args)) if o.requires_grad]
        if outputs:
            self._gradients(outputs, [empty_like(o) for o in outputs])

    def capture_forward(self, pool):
        with self.devices.graph(self.forward, pool=pool):
            outputs = self.call(*self.args)
        self.outputs, self.structure = pytree.tree_flatten(outputs)

    def capture_backward(self, pool):
        self.slopes = [empty_like(o) if o.requires_grad else None for o in self.outputs]
        made = iter(())
        if any(o.requires_grad for o in self.outputs):
            outputs = [o for o in self.outputs if o.requires_grad]
            with self.devices.graph(self.backward, pool=pool):
                made = iter(self._gradients(outputs, [s for s in self.slopes if s is not None]))
        self.found = [next(made, None) if x.requires_grad else None for x in self.inputs]

    def installed(self):
        """The function that replays; a module keeps it as its ``forward``."""
        work = self

        class Graphed(Function):
            @staticmethod
            def forward(ctx, *inputs):
                return work.replay_forward(inputs)

            @staticmethod
            @once_differentiable
            def backward(ctx, *slopes):
                return work.replay_backward(slopes)

        def replayed(*args):
            out = Graphed.apply(*pytree.arg_tree_leaves(*args), *work.parameters)
            return pytree.tree_unflatten(out, work.structure)

        if not isinstance(self.call, Module):
            return replayed
        module, training, before = self.call, self.call.training, self.call.forward

        def forward(*args, **kwargs):
            if module.training == training:
                return replayed(*args, **kwargs)
            return before(*args, **kwargs)

        module.forward = forward  # type: ignore[method-assign]
        return module

    def replay_forward(self, inputs):
        for fixed, x in zip(self.inputs[: self.arguments], inputs, strict=False):
            _copy(fixed, x)
        self.forward.replay()
        return tuple([o.detach() for o in self.outputs])

    def replay_backward(self, slopes):
        for fixed, g in zip(self.slopes, slopes, strict=True):
            if fixed is not None:
                _copy(fixed, g)
        self.backward.replay()
        return tuple([None if g is None else g.detach() for g in self.found])


def _copy(fixed, x):
    if fixed.data_ptr() != x.data_ptr():
        fixed.detach().copy_(x)
