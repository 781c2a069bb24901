"""Jacobians, Hessians and their products with vectors: ``torch.autograd.functional``.

All functions use backward only. Backward computes vᵀ J. J v is the gradient of (uᵀ J) v with
respect to u, because uᵀ J is linear in u (the "double backward").
"""

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.gradient import grad, refuse_complex_output
from rushlight.autograd.tangents import first_pass
from rushlight.docstrings import document
from rushlight.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


# Arguments --------------------------------------------------------------------------------


def _tensors(given, what, name):
    """(the tensors, whether ``given`` is a tuple); TypeError for anything but tensors."""
    found = given if isinstance(given, tuple) else (given,)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            where = f" at index {i}" if isinstance(given, tuple) else ""
            raise TypeError(
                f"{name}: {what} must be either a Tensor or a tuple of Tensors, but{where} it is "
                f"{type(t).__name__}"
            )
    return found, isinstance(given, tuple)


def _fresh(tensors, create_graph):
    """New tensors over the inputs' values that require grad.

    With ``create_graph`` they stay connected to the history of the inputs.
    """
    if not create_graph:
        return tuple([t.detach().requires_grad_() for t in tensors])
    return tuple([t.view_as(t) if t.requires_grad else t.clone().requires_grad_() for t in tensors])


def _run(func, inputs, create_graph, name):
    """Run ``func``: (inputs, whether they are a tuple, outputs, whether they are a tuple)."""
    inputs, several = _tensors(inputs, "the inputs", name)
    inputs = _fresh(inputs, create_graph)
    outputs, many = _tensors(func(*inputs), "the outputs of the function", name)
    return inputs, several, outputs, many


def _vector(v, like, name, several):
    """``v`` as a tuple of tensors with the shapes of ``like``; None means 1 for a single number."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"{name}: v can only be None for a single Tensor with a single element, not for "
                f"shapes {[tuple(t.shape) for t in like]}"
            )
        return (like[0].new_ones(like[0].shape),)
    found, _ = _tensors(v, "v", name)
    if len(found) != len(like):
        raise RuntimeError(f"{name}: v has {len(found)} tensors where {len(like)} are wanted")
    for i, (x, t) in enumerate(zip(found, like, strict=True)):
        if x.shape != t.shape:
            where = f" at index {i}" if several else ""
            raise RuntimeError(
                f"{name}: v{where} has shape {tuple(x.shape)} and should have {tuple(t.shape)}"
            )
    return found


def _scalar(outputs, many, name):
    """The single number that a function returned."""
    if many:
        raise RuntimeError(f"{name}: the function should return a single Tensor, not a tuple")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"{name}: the Tensor returned by the function should contain a single element, not "
            f"shape {tuple(outputs[0].shape)}"
        )
    return outputs[0]


# Gradients --------------------------------------------------------------------------------


def _gradients(outputs, inputs, vectors, create_graph):
    """vᵀ J for each input; None for an input on which no output depends."""
    pairs = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    outs, seeds = zip(*pairs, strict=True)
    return grad(outs, inputs, seeds, create_graph=create_graph, allow_unused=True,
                retain_graph=True)  # fmt: skip


def _filled(found, like, strict, name, what="the output"):
    """Replace missing gradients (None) by zeros; with ``strict``, raise instead."""
    if strict:
        for i, g in enumerate(found):
            if g is None:
                raise RuntimeError(f"{name}: {what} does not depend on input {i}; strict=True")
    pairs = zip(found, like, strict=True)
    return tuple([t.new_zeros(t.shape) if g is None else g for g, t in pairs])


def _check_graph(found, strict, create_graph, name):
    """With ``strict`` and ``create_graph``, raise if a result does not depend on the inputs."""
    if strict and create_graph:
        for i, g in enumerate(found):
            if not g.requires_grad:
                raise RuntimeError(f"{name}: result {i} is independent of the inputs; strict=True")


def _result(found, create_graph, as_tuple):
    found = found if create_graph else tuple([t.detach() for t in found])
    return found if as_tuple else found[0]


def _slope(func, inputs, create_graph, strict, name):
    """(inputs, whether they are a tuple, outputs, the recorded gradient) of a scalar function."""
    inputs, several, outputs, many = _run(func, inputs, create_graph, name)
    out = _scalar(outputs, many, name)
    found = _gradients((out,), inputs, (out.new_ones(out.shape),), True)
    return inputs, several, outputs, _filled(found, inputs, strict, name)


# Products with vectors --------------------------------------------------------------------


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """Compute the values of ``func`` and vᵀ J, where J is its Jacobian at ``inputs``.

    Args:
        v: Tensor or tuple of tensors of the outputs' shapes. Default: 1, for an output of one
            element.

    Returns:
        Tuple ``(func(*inputs), vᵀ J)``; vᵀ J has the form of ``inputs``.

    Raises:
        RuntimeError: ``v`` does not fit the outputs; or ``strict`` is set, and the outputs do not
            depend on an input.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.vjp(lambda x: x ** 2, x, torch.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    with mode.enable_grad():
        inputs, several, outputs, many = _run(func, inputs, create_graph, "vjp")
        vectors = _vector(v, outputs, "vjp", many)
        create = create_graph or strict
        found = _gradients(outputs, inputs, vectors, create)
        found = _filled(found, inputs, strict, "vjp")
        _check_graph(found, strict, create_graph, "vjp")
    return _result(outputs, create_graph, many), _result(found, create_graph, several)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """Compute the values of ``func`` and J v, where J is its Jacobian at ``inputs``.

    Args:
        v: Tensor or tuple of tensors of the inputs' shapes. Default: 1, for an input of one
            element.

    Returns:
        Tuple ``(func(*inputs), J v)``; J v has the form of the outputs.

    Raises:
        RuntimeError: ``v`` does not fit the inputs; or ``strict`` is set, and the outputs do not
            depend on an input.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.jvp(lambda x: x.prod(), x, torch.tensor([1.0, 10.0]))[1]
    tensor(12.)
    """
    with mode.enable_grad():
        inputs, several, outputs, many = _run(func, inputs, create_graph, "jvp")
        vectors = _vector(v, inputs, "jvp", several)
        dummies = tuple([o.new_zeros(o.shape).requires_grad_() for o in outputs])
        with first_pass():
            found = _gradients(outputs, inputs, dummies, True)
        found = _filled(found, inputs, strict, "jvp")
        found = _gradients(found, dummies, vectors, create_graph)
        found = _filled(found, outputs, strict, "jvp", "a gradient")
        _check_graph(found, strict, create_graph, "jvp")
    return _result(outputs, create_graph, many), _result(found, create_graph, many)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """Compute the value of ``func`` and vᵀ H, where H is its Hessian at ``inputs``.

    Args:
        func: A function of tensors that returns a tensor of one element.
        v: Tensor or tuple of tensors of the inputs' shapes. Default: 1, for an input of one
            element.

    Returns:
        Tuple ``(func(*inputs), vᵀ H)``; vᵀ H has the form of ``inputs``.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.vhp(lambda x: (x ** 3).sum(), x, torch.tensor([1.0, 10.0]))[1]
    tensor([  6., 120.])
    """
    with mode.enable_grad():
        inputs, several, outputs, first = _slope(func, inputs, create_graph, strict, "vhp")
        vectors = _vector(v, inputs, "vhp", several)
        found = _gradients(first, inputs, vectors, create_graph)
        found = _filled(found, inputs, strict, "vhp", "the gradient")
        _check_graph(found, strict, create_graph, "vhp")
    return _result(outputs, create_graph, False), _result(found, create_graph, several)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """Compute the value of ``func`` and H v, where H is its Hessian at ``inputs``.

    ``vhp`` gives the same numbers faster, because H is symmetric.

    Args:
        func: A function of tensors that returns a tensor of one element.
        v: Tensor or tuple of tensors of the inputs' shapes. Default: 1, for an input of one
            element.

    Returns:
        Tuple ``(func(*inputs), H v)``; H v has the form of ``inputs``.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.hvp(lambda x: (x ** 3).sum(), x, torch.tensor([1.0, 10.0]))[1]
    tensor([  6., 120.])
    """
    with mode.enable_grad():
        inputs, several, outputs, first = _slope(func, inputs, create_graph, strict, "hvp")
        vectors = _vector(v, inputs, "hvp", several)
        dummies = tuple([t.new_zeros(t.shape).requires_grad_() for t in inputs])
        second = _gradients(first, inputs, dummies, True)
        second = _filled(second, inputs, strict, "hvp", "the gradient")
        found = _gradients(second, dummies, vectors, create_graph)
        found = _filled(found, inputs, strict, "hvp", "the gradient")
        _check_graph(found, strict, create_graph, "hvp")
    return _result(outputs, create_graph, False), _result(found, create_graph, several)


# Whole matrices ---------------------------------------------------------------------------


def jacobian(
    func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"
):
    """Compute the Jacobian of ``func`` at ``inputs``, a row for each element of the outputs.

    Args:
        vectorize: Changes nothing, but ``strategy="forward-mode"`` needs it. Default: False.
        strategy: ``"reverse-mode"`` or ``"forward-mode"``; both give the same.
            Default: ``"reverse-mode"``.

    Returns:
        Tensor of shape ``(*output, *input)``. Several inputs give a tuple, and so do several
        outputs.

    Raises:
        RuntimeError: ``strict`` is set, and an output does not depend on an input.
        NotImplementedError: ``strategy`` is ``"forward-mode"`` without ``vectorize``, or with
            ``create_graph``.

    >>> import rushlight as torch
    >>> torch.autograd.functional.jacobian(lambda x: x ** 2, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy(strategy, vectorize, create_graph, strict)
    with mode.enable_grad():
        inputs, several, outputs, many = _run(func, inputs, create_graph, "jacobian")
        rows = []
        for out in outputs:
            if not vectorize:
                refuse_complex_output(out)
            elif strategy == "forward-mode" and any(t.dtype.is_complex for t in (out, *inputs)):
                raise NotImplementedError(
                    "jacobian: forward-mode of complex numbers is not there; use reverse-mode, "
                    "which gives the conjugate, or view_as_real()"
                )
            found = _rows(out, inputs, create_graph, strict)
            rows.append(_result(found, create_graph, several))
    return tuple(rows) if many else rows[0]


def _check_strategy(strategy, vectorize, create_graph, strict):
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(
            f'Expected strategy to be either "forward-mode" or "reverse-mode", not {strategy!r}'
        )
    if strict and vectorize:
        raise RuntimeError("jacobian: strict=True and vectorize=True are not supported together")
    if strategy == "forward-mode" and (create_graph or not vectorize):
        raise NotImplementedError(
            'jacobian: strategy="forward-mode" needs vectorize=True and create_graph=False'
        )


def _rows(out, inputs, create_graph, strict):
    """The Jacobian of one output with respect to each input."""
    flat = out.reshape(-1)
    found: list[list] = [[] for _ in inputs]
    for i in range(flat.numel()):
        row = _gradients((flat[i],), inputs, (flat.new_ones(()),), create_graph)
        row = _filled(row, inputs, strict, "jacobian")
        _check_graph(row, strict, create_graph, "jacobian")
        for rows, g in zip(found, row, strict=True):
            rows.append(g)
    shapes = [(*out.shape, *t.shape) for t in inputs]
    return tuple(
        [
            late.stack(rows).reshape(shape) if rows else t.new_zeros(shape)
            for rows, shape, t in zip(found, shapes, inputs, strict=True)
        ]
    )


def hessian(
    func,
    inputs,
    create_graph=False,
    strict=False,
    vectorize=False,
    outer_jacobian_strategy="reverse-mode",
):
    """Compute the Hessian of ``func`` at ``inputs``.

    Args:
        func: A function of tensors that returns a tensor of one element.
        vectorize: Changes nothing, but ``"forward-mode"`` needs it. Default: False.
        outer_jacobian_strategy: ``"reverse-mode"`` or ``"forward-mode"``; both give the same.
            Default: ``"reverse-mode"``.

    Returns:
        Tensor of shape ``(*input, *input)``. Several inputs give a tuple of tuples, with a Hessian
        for each pair.

    Raises:
        RuntimeError: The function returns more than one number.

    >>> import rushlight as torch
    >>> torch.autograd.functional.hessian(lambda x: (x ** 3).sum(), torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    given, several = _tensors(inputs, "the inputs", "hessian")
    _check_strategy(outer_jacobian_strategy, vectorize, create_graph, strict)

    def gradient(*tensors):
        outputs, many = _tensors(func(*tensors), "the outputs of the function", "hessian")
        out = _scalar(outputs, many, "hessian")
        found = _gradients((out,), tensors, (out.new_ones(out.shape),), True)
        return _filled(found, tensors, strict, "hessian")

    found = jacobian(gradient, given, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found if several else found[0][0]


for _name in __all__:
    document(globals()[_name], "derivative")
