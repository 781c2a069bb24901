"""Public access to the graph of gradients: ``torch.autograd.graph``."""

import weakref
from collections.abc import Iterable
from types import MethodType
from typing import Any, NamedTuple

from rushlight.autograd import mode
from rushlight.autograd.engine import leading
from rushlight.autograd.hooks import RemovableHandle
from rushlight.autograd.saved import set_disabled, set_hooks
from rushlight.autograd.tape import Node, Output, refresh
from rushlight.autograd.write import stamp
from rushlight.tensor import Tensor

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip


# Saved tensors ----------------------------------------------------------------------------


class saved_tensors_hooks:
    """Context in which ``pack_hook`` decides how saved tensors are kept until backward.

    The innermost of nested contexts counts. Saved shapes and numbers are not packed. Backward
    detects a later write to a saved tensor only if the hook kept that tensor itself.

    Args:
        pack_hook: A function of a tensor, which may return any object.
        unpack_hook: A function of this object. It returns a tensor with the same values when
            backward needs the tensor.

    Raises:
        RuntimeError: inside ``disable_saved_tensors_hooks``; or the pack hook writes to its tensor.
        TypeError: in backward, if the unpack hook returns no tensor.

    >>> import rushlight as torch
    >>> x = torch.tensor([2.0, 3.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda h: h.float()):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([4., 6.])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self):
        self._was = set_hooks((self.pack_hook, self.unpack_hook))

    def __exit__(self, *exc):
        set_hooks(self._was)


class save_on_cpu(saved_tensors_hooks):
    """Context in which saved tensors are kept on the CPU; in rushlight they always are.

    Args:
        pin_memory, device_type: Accepted without effect.

    >>> import rushlight as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> with torch.autograd.graph.save_on_cpu(pin_memory=True):
    ...     y = x ** 2
    >>> y.backward()
    >>> x.grad
    tensor(6.)
    """

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda t: (t.device, t), lambda kept: kept[1].to(kept[0]))


class disable_saved_tensors_hooks(mode._Decorator):
    """Context and decorator in which ``saved_tensors_hooks`` raises with ``error_message``.

    Args:
        error_message: Text of the error.

    Raises:
        RuntimeError: hooks are already set.

    >>> import rushlight as torch
    >>> graph = torch.autograd.graph
    >>> with graph.disable_saved_tensors_hooks("no hooks here"):
    ...     with graph.save_on_cpu():
    ...         pass
    Traceback (most recent call last):
    RuntimeError: no hooks here
    """

    def __init__(self, error_message):
        self.error_message = error_message

    def __enter__(self):
        self._was = set_disabled(self.error_message)

    def __exit__(self, *exc):
        set_disabled(None)
        set_disabled(self._was)

    def clone(self):
        return type(self)(self.error_message)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):
    """Context in which tensors may be written although a gradient needs their values.

    Each tensor that the graph saves is copied, and backward, which must run in the same context,
    computes with the copies.

    Raises:
        RuntimeError: contexts are nested.
        AssertionError: in backward, if the context in which the graph was recorded has ended, or
            ``clear()`` was called since.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     total = (y ** 2).sum()
    ...     _ = y.zero_()
    ...     total.backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self):
        super().__init__(self._copied, self._kept)
        self.copies: weakref.WeakSet = weakref.WeakSet()

    def __enter__(self):
        pack = None if mode.state.packing is None else mode.state.packing[0]
        owner = pack.__self__ if isinstance(pack, MethodType) else None
        if isinstance(owner, allow_mutation_on_saved_tensors):
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        super().__enter__()
        return self

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.clear()

    def clear(self):
        """Forget the copies: graphs that were recorded before can't go backward any more."""
        for copy in self.copies:
            copy.tensor = None

    def _copied(self, tensor):
        copy = _Copy(tensor.detach().clone())
        self.copies.add(copy)
        return copy

    @staticmethod
    def _kept(copy):
        if copy.tensor is None:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in "
                "which the graph was originally recorded."
            )
        return copy.tensor


class _Copy:
    """The copy of a saved tensor; None once its context has ended."""

    def __init__(self, tensor):
        self.tensor = tensor


# Edges ------------------------------------------------------------------------------------


class GradientEdge(NamedTuple):
    """The place where a tensor's gradient enters the graph: output ``output_nr`` of ``node``.

    ``autograd.grad`` and ``backward`` accept an edge in place of the tensor.

    Args:
        node: The node of the operation.
        output_nr: Index of the operation's result, from 0.
        ownership_token: An object that the edge keeps alive. Default: None.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> edge = torch.autograd.graph.GradientEdge((2 * x).grad_fn, 0)
    >>> torch.autograd.grad(edge, x, torch.ones(2))
    (tensor([2., 2.]),)
    """

    node: Node
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor):
    """Return the edge at which the gradient of a tensor enters the graph.

    The edge does not keep the tensor alive.

    Args:
        tensor: Tensor of any shape ``(*)``.

    Returns:
        ``GradientEdge``.

    Raises:
        RuntimeError: the tensor does not require grad.

    >>> import rushlight as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> edge = torch.autograd.graph.get_gradient_edge(x * x)
    >>> edge.node.name(), edge.output_nr
    ('MulBackward0', 0)
    >>> torch.autograd.grad(edge, x)
    (tensor(6.),)
    """
    refresh(tensor)
    node = tensor.node
    if node is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge of a Tensor that does not require "
            "gradients"
        )
    if isinstance(node, Output):
        return GradientEdge(node.source, node.index, node)
    return GradientEdge(node, 0, node)


def increment_version(tensor):
    """Mark a tensor, or several, as written: nodes that saved them refuse to run.

    Args:
        tensor: A tensor, or an iterable of tensors.

    >>> import rushlight as torch
    >>> x = torch.ones(2)
    >>> torch.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        stamp(t)


# Hooks on several tensors -----------------------------------------------------------------


class _Handles(RemovableHandle):
    """The handle of one hook on several tensors; ``remove()`` removes all of them."""

    def __init__(self, handles):
        self.handles = handles

    def remove(self):
        for handle in self.handles:
            handle.remove()

    def __getstate__(self):
        return self.handles

    def __setstate__(self, state):
        self.handles = state


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Call a function in each backward when the gradients of several tensors have been computed.

    Args:
        tensors: A sequence of tensors that require grad.
        fn: The function.
        mode: ``"all"``: ``fn(grads)`` runs when the last gradient is there; tensors that get no
            gradient in this backward have None. ``"any"``: ``fn(grad)`` gets the first gradient.
            Default: ``"all"``.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    Raises:
        ValueError: ``mode`` is another string.
        RuntimeError: a tensor does not require grad.

    >>> import rushlight as torch
    >>> x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    >>> handle = torch.autograd.graph.register_multi_grad_hook(
    ...     (x, y), lambda grads: print([g.tolist() for g in grads]))
    >>> (x * 2 + y * 3).sum().backward()
    [[2.0, 2.0], [3.0, 3.0]]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = tuple(tensors)
    arrived = _Arrived(tensors, fn, mode == "all")
    return _Handles([t.register_hook(arrived.at(i)) for i, t in enumerate(tensors)])


class _Arrived:
    """Collects the gradients of one backward as they arrive, and then calls ``fn``."""

    def __init__(self, tensors, fn, all_of_them):
        self.fn = fn
        self.all_of_them = all_of_them
        self.nodes = [t.node for t in tensors]
        self.run: Any = None  # the roots of the backward that runs now
        self.grads: list[Any] = []
        self.expected = 0

    def at(self, i):
        def hook(g):
            mode.refuse_in_trace("a hook waits for the gradients of several tensors")
            roots = mode.state.roots
            if roots is not self.run:
                self.run, self.grads = roots, [None] * len(self.nodes)
                self.expected = len(_visited(roots, self.nodes)) if self.all_of_them else 1
            if not self.expected:
                return
            self.grads[i] = g
            self.expected -= 1
            if not self.expected:
                self.fn(self.grads if self.all_of_them else g)

        return hook


def _visited(roots: Iterable, wanted):
    """The nodes of ``wanted`` that the running backward visits; duplicates are kept."""
    targets = mode.state.targets
    if targets is not None:
        leads = leading(targets, roots)
        wanted = [node for node in wanted if id(node) in leads]
    seen = set(roots)
    todo = list(seen)
    while todo:
        for parent in todo.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return [node for node in wanted if node in seen]
