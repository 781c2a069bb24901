"""Derivatives of functions: ``grad``, ``vjp``, ``jvp``, Jacobians and Hessians.

Each transform calls the function on new tensors over its arguments, which want gradients and stay
connected to the arguments' own history. So transforms nest. Forward-mode products move tangents
along the tape (``autograd/tangents.py``).
"""

from contextlib import nullcontext
from functools import partial, wraps

from rushlight.autograd.forward_ad import reaches_outside
from rushlight.autograd.gradient import grad as gradients_of
from rushlight.autograd.gradient import refuse_complex_output
from rushlight.autograd.mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
)
from rushlight.autograd.tangents import check_tangent, pushed
from rushlight.autograd.tape import Leaf
from rushlight.func.vmap import vmap
from rushlight.ops.create.filled import zeros_like
from rushlight.ops.create.range import eye
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]


def _recording():
    """A context in which operations are recorded, also inside ``no_grad`` or inference mode."""
    return inference_mode(False) if is_inference_mode_enabled() else enable_grad()


class _Run:
    """A call of a function on new tensors over its arguments.

    Attributes:
        inputs: The new tensors, in order.
        outputs: The tensors that the function returned, in order.
        aux: The second thing that a function with ``has_aux`` returned.
        goes_on: Whether the results depend on tensors from outside that want gradients, so that
            derivatives need a graph of their own.
    """

    def __init__(self, name, func, args, argnums=None, has_aux=False):
        self.name = name
        chosen = range(len(args)) if argnums is None else argnums
        fresh = {i: self._fresh(args[i]) for i in chosen}
        self.inputs = [t for i in chosen for t in tree_flatten(fresh[i])[0]]
        with _recording():
            found = func(*[fresh.get(i, a) for i, a in enumerate(args)])
        self.aux = None
        if has_aux:
            if not (isinstance(found, tuple) and len(found) == 2):
                raise RuntimeError(
                    f"{name}: output of function f should be a tuple: (output, aux) if has_aux is "
                    "True"
                )
            found, self.aux = found
        self.outputs, self.structure = tree_flatten(found)
        for t in self.outputs:
            if not isinstance(t, Tensor):
                raise RuntimeError(
                    f"{name}: Expected f(*args) to return only tensors, got {type(t).__name__}"
                )
        inner = all(type(t.node) is Leaf for t in self.inputs)  # else they are views of outer ones
        outer = not inner or reaches_outside(self.outputs, self.inputs)
        self.goes_on = is_grad_enabled() and outer

    def refuse_integers(self):
        """Raise if an output has no slope, because it is no floating-point or complex number."""
        for t in self.outputs:
            if not (t.is_floating_point() or t.is_complex()):
                raise RuntimeError(
                    "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got "
                    f"Tensor with dtype {t.dtype}"
                )

    def _fresh(self, tree):
        return tree_map(self._own, tree)

    def _own(self, t):
        if not isinstance(t, Tensor):
            raise RuntimeError(
                f"{self.name}: Expected all inputs to be tensors, but got {type(t).__name__}"
            )
        if not (t.is_floating_point() or t.is_complex()):
            raise RuntimeError(
                f"{self.name}: only Tensors of floating point and complex dtype can require "
                f"gradients, got {t.dtype}"
            )
        # Under no_grad, the derivative is a constant to what is outside.
        outer = t.requires_grad and is_grad_enabled()
        with inference_mode(False) if is_inference_mode_enabled() else nullcontext():
            t = t.clone() if t.is_inference() else t
            return t.view_as(t) if outer else t.detach().requires_grad_()

    @property
    def passed_on(self):
        """``aux`` for the caller: its tensors keep their history if they depend on outer ones."""
        keep = is_grad_enabled()
        return tree_map(
            lambda t: t if not isinstance(t, Tensor) or (keep and reaches_outside([t], self.inputs))
            else t.detach(),
            self.aux,
        )  # fmt: skip

    def given(self, tree):
        """``tree`` as the transform returns it: constants, unless the history goes on."""
        if self.goes_on:
            return tree
        return tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, tree)

    @property
    def result(self):
        """What the function returned."""
        return self.given(tree_unflatten(self.outputs, self.structure))

    def products(self, weights, create_graph=None):
        """The gradients of the inputs; zeros for an input that the outputs don't depend on."""
        graph = self.goes_on or any(w.requires_grad for w in weights)
        return _gradients(self.outputs, self.inputs, weights, graph or bool(create_graph))


def _gradients(outputs, inputs, weights, graph):
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    if not pairs:
        return [zeros_like(x) for x in inputs]
    outputs, weights = zip(*pairs, strict=True)
    with _recording():
        found = gradients_of(
            outputs, inputs, weights, retain_graph=True, create_graph=graph, allow_unused=True
        )
    return [zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def _chosen(name, argnums, args):
    """(the positions of the arguments, whether there is one)."""
    several = isinstance(argnums, tuple)
    found = []
    for i in argnums if several else (argnums,):
        if not isinstance(i, int):
            raise RuntimeError(f"{name}: argnums must be int or Tuple[int, ...], got {argnums!r}")
        if not -len(args) <= i < len(args):
            raise RuntimeError(f"{name}: Got argnum={i}, but only {len(args)} positional inputs")
        found.append(i % len(args))
    if not found:
        raise RuntimeError(f"{name}: argnums must be non-empty")
    if len(set(found)) < len(found):
        raise RuntimeError(f"{name}: argnums elements must be unique, got {argnums}")
    return found, not several


def _by_argument(leaves, args, chosen, one):
    """``leaves`` in the structures of the chosen arguments."""
    leaves, found = iter(leaves), []
    for i in chosen:
        parts, structure = tree_flatten(args[i])
        found.append(tree_unflatten([next(leaves) for _ in parts], structure))
    return found[0] if one else tuple(found)


# First derivatives --------------------------------------------------------------------------


def grad_and_value(func, argnums=0, has_aux=False):
    """Return a function that computes the gradient of ``func`` and its value.

    Args:
        func: A function of tensors that returns a tensor of one element.
        argnums: The position, or positions (tuple), of the arguments to differentiate by. They may
            be nested lists, tuples and dicts of tensors. Default: 0.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is passed on. Default: False.

    Returns:
        Function with the arguments of ``func``. It returns ``(gradient, value)``, or
        ``(gradient, (value, aux))``. The gradient has the structure of the arguments.

    Raises:
        RuntimeError: ``func`` returns no single number, or an argument is no floating tensor.

    >>> import rushlight as torch
    >>> torch.func.grad_and_value(lambda x: (x * x).sum())(torch.tensor([1.0, 3.0]))
    (tensor([2., 6.]), tensor(10.))
    """

    @wraps(func)
    def wrapped(*args, **kwargs):
        chosen, one = _chosen("grad_and_value", argnums, args)
        run = _Run("grad_and_value", partial(func, **kwargs), args, chosen, has_aux)
        value = tree_unflatten(run.outputs, run.structure)
        if not isinstance(value, Tensor) or value.ndim:
            given = f"tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
            raise RuntimeError(f"grad: Expected f(*args) to return a scalar Tensor, got {given}")
        refuse_complex_output(value)
        found = run.products([value.new_ones(())])
        gradient = run.given(_by_argument(found, args, chosen, one))
        return gradient, (run.result, run.passed_on) if has_aux else run.result

    return wrapped


def grad(func, argnums=0, has_aux=False):
    """Return a function that computes the gradient of ``func``.

    Args:
        func: A function of tensors that returns a tensor of one element.
        argnums: The position, or positions (tuple), of the arguments to differentiate by. They may
            be nested lists, tuples and dicts of tensors. Default: 0.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is passed on. Default: False.

    Returns:
        Function with the arguments of ``func``. It returns the gradient, or ``(gradient, aux)``.
        The gradient has the structure of the arguments.

    Raises:
        RuntimeError: ``func`` returns no single number, or an argument is no floating tensor.

    >>> import rushlight as torch
    >>> torch.func.grad(torch.func.grad(torch.sin))(torch.tensor(0.5))
    tensor(-0.4794)
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def wrapped(*args, **kwargs):
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def vjp(func, *primals, has_aux=False):
    """Return the value of ``func``, and a function that multiplies by its Jacobian from the left.

    Args:
        func: A function of tensors that returns tensors.
        *primals: The arguments of ``func``.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is passed on. Default: False.

    Returns:
        ``(output, vjp_fn)``, or ``(output, vjp_fn, aux)``. ``vjp_fn(*cotangents)`` takes tensors
        like the output, and returns a tuple with the product for each of ``primals``.

    Raises:
        RuntimeError: An output is no floating-point or complex tensor.

    >>> import rushlight as torch
    >>> value, product = torch.func.vjp(torch.sin, torch.tensor([0.0, 1.0]))
    >>> product(torch.tensor([1.0, 1.0]))
    (tensor([1.0000, 0.5403]),)
    """
    run = _Run("vjp", func, primals, None, has_aux)
    run.refuse_integers()

    def product(*cotangents, **kwargs):
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        weights, structure = tree_flatten(given)
        if structure != run.structure:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {structure}, primal output: {run.structure}"
            )
        found = run.products(weights)
        return _by_argument(found, primals, range(len(primals)), False)

    return (run.result, product, run.passed_on) if has_aux else (run.result, product)


def _forward(run, tangents):
    """``J v``: the tangents of the outputs, from those of the inputs."""
    graph = run.goes_on or any(t.requires_grad for t in tangents)
    found = pushed(run.outputs, run.inputs, tangents, graph)
    found = [zeros_like(o) if t is None else t for o, t in zip(run.outputs, found, strict=True)]
    return run.given(found)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """Return the value of ``func``, and the product of its Jacobian with ``tangents``.

    Args:
        func: A function of tensors that returns tensors.
        primals: Tuple of the arguments of ``func``.
        tangents: Tuple of tensors like ``primals``: the vector.
        strict: Accepted without effect. Default: False.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is passed on. Default: False.

    Returns:
        ``(output, product)``, or ``(output, product, aux)``. The product is like the output.

    Raises:
        RuntimeError: ``primals`` and ``tangents`` are no tuples, or are not alike.

    >>> import rushlight as torch
    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    for what, tree in (("primals", primals), ("tangents", tangents)):
        if not isinstance(tree, tuple) or not tree:
            raise RuntimeError(
                f"jvp(f, primals, tangents): Expected {what} to be a tuple of tensors that is not "
                f"empty, got {type(tree)}"
            )
    vector, structure = tree_flatten(tangents)
    if structure != tree_flatten(primals)[1]:
        raise RuntimeError(
            "jvp: Expected primals and tangents to have the same python structure, for example "
            f"two tuples of {len(primals)} tensors"
        )
    run = _Run("jvp", func, primals, None, has_aux)
    for x, v in zip(run.inputs, vector, strict=True):
        check_tangent(x, v)
    product = tree_unflatten(_forward(run, vector), run.structure)
    return (run.result, product, run.passed_on) if has_aux else (run.result, product)


def linearize(func, *primals):
    """Return the value of ``func``, and the linear function that its Jacobian is.

    Args:
        func: A function of tensors that returns tensors.
        *primals: The arguments of ``func``.

    Returns:
        ``(output, jvp_fn)``. ``jvp_fn(*tangents)`` takes tensors like ``primals``, and returns the
        product of the Jacobian with them. It does not run ``func`` again.

    >>> import rushlight as torch
    >>> value, product = torch.func.linearize(torch.sin, torch.tensor(0.0))
    >>> product(torch.tensor(3.0))
    tensor(3.)
    """
    run = _Run("linearize", func, primals)
    return run.result, lambda *tangents: tree_unflatten(
        _forward(run, tree_flatten(tangents)[0]), run.structure
    )


# Jacobians ----------------------------------------------------------------------------------


def _refuse_complex(name, run):
    """Raise if a Jacobian would have complex inputs or outputs: it is no matrix of numbers then."""
    for what, tensors in ("inputs", run.inputs), ("outputs", run.outputs):
        for i, t in enumerate(tensors):
            if t.dtype.is_complex:
                raise RuntimeError(
                    f"{name}: Expected all {what} to be real but received complex tensor at "
                    f"flattened input idx: {i}. Use view_as_real() of it"
                )


def _basis(tensors):
    """For each tensor, the unit vectors of all elements of all tensors: (elements, *its shape)."""
    total, start, found = sum([t.numel() for t in tensors]), 0, []
    for t in tensors:
        part = eye(total, dtype=t.dtype).to(t.device)[:, start : start + t.numel()]
        found.append(part.reshape(total, *t.shape))
        start += t.numel()
    return found


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """Return a function that computes the Jacobian of ``func``, one row for each output element.

    Args:
        func: A function of tensors that returns tensors.
        argnums: The position, or positions (tuple), of the arguments to differentiate by.
            Default: 0.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is passed on. Default: False.
        chunk_size: The number of rows computed at a time. Default: all.

    Returns:
        Function with the arguments of ``func``. Its result has the structure of the output; each
        tensor of it is in turn in the structure of the arguments, of shape output + input.

    >>> import rushlight as torch
    >>> torch.func.jacrev(torch.sin)(torch.tensor([0.0, 0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @wraps(func)
    def wrapped(*args, **kwargs):
        chosen, one = _chosen("jacrev", argnums, args)
        run = _Run("jacrev", partial(func, **kwargs), args, chosen, has_aux)
        run.refuse_integers()
        _refuse_complex("jacrev", run)
        rows = vmap(lambda *u: tuple(run.products(u)), chunk_size=chunk_size)(*_basis(run.outputs))
        found, start = [], 0
        for o in run.outputs:
            part = [r[start : start + o.numel()].reshape((*o.shape, *r.shape[1:])) for r in rows]
            found.append(_by_argument(part, args, chosen, one))
            start += o.numel()
        jacobian = run.given(tree_unflatten(found, run.structure))
        return (jacobian, run.passed_on) if has_aux else jacobian

    return wrapped


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """Return a function that computes the Jacobian of ``func``, one column for each input element.

    Args:
        func: A function of tensors that returns tensors.
        argnums: The position, or positions (tuple), of the arguments to differentiate by.
            Default: 0.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is passed on. Default: False.
        randomness: As for ``vmap``. Default: ``"error"``.

    Returns:
        Function with the arguments of ``func``. Its result has the structure of the output; each
        tensor of it is in turn in the structure of the arguments, of shape output + input.

    >>> import rushlight as torch
    >>> torch.func.jacfwd(torch.sin)(torch.tensor([0.0, 0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @wraps(func)
    def wrapped(*args, **kwargs):
        chosen, one = _chosen("jacfwd", argnums, args)
        run = _Run("jacfwd", partial(func, **kwargs), args, chosen, has_aux)
        _refuse_complex("jacfwd", run)
        columns = vmap(lambda *v: tuple(_forward(run, v)), randomness=randomness)
        columns = columns(*_basis(run.inputs))
        found = []
        for o, column in zip(run.outputs, columns, strict=True):
            part, start = [], 0
            for x in run.inputs:
                piece = column[start : start + x.numel()].movedim(0, -1)
                part.append(piece.reshape((*o.shape, *x.shape)))
                start += x.numel()
            found.append(_by_argument(part, args, chosen, one))
        jacobian = run.given(tree_unflatten(found, run.structure))
        return (jacobian, run.passed_on) if has_aux else jacobian

    return wrapped


def hessian(func, argnums=0):
    """Return a function that computes the Hessian of ``func``: forward over reverse mode.

    Args:
        func: A function of tensors that returns a tensor.
        argnums: The position, or positions (tuple), of the arguments to differentiate by.
            Default: 0.

    Returns:
        Function with the arguments of ``func``. Its result has shape output + input + input.

    >>> import rushlight as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
