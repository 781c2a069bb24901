"""Compare analytic with numeric gradients, by central differences in double precision."""

import warnings

import numpy as np

from rushlight.autograd.gradient import grad
from rushlight.tensor import Tensor, from_array

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """The analytic gradient differs from the numeric one."""


def _inputs(inputs):
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wanted = [t for t in inputs if isinstance(t, Tensor) and t.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them "
            "have requires_grad=True."
        )
    for t in wanted:
        if t.array.dtype not in (np.float64, np.complex128):
            warnings.warn(
                "gradcheck: an input requires gradient and is not a double precision floating "
                f"point or complex, but {t.dtype}. This check will likely fail if all the inputs "
                "are not of double precision.",
                stacklevel=3,
            )
    return inputs, wanted


def _outputs(found):
    """The tensors of ``found`` that require grad."""
    return [o for o in _numbers(found) if o.requires_grad]


def _numbers(found):
    found = (found,) if isinstance(found, Tensor) else tuple(found)
    return [o for o in found if isinstance(o, Tensor) and o.dtype.category > 1]


def _double(a):
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


def _numeric(function, inputs, x, eps, chosen=_outputs):
    """The derivatives of the outputs with respect to ``x``, by central differences.

    ``result[i][s][k]`` is an array: the derivative of output k with respect to element i of x. The
    step s is 0 for real steps, and 1 for imaginary steps, which only complex x have.
    """
    steps = (eps, eps * 1j) if x.dtype.is_complex else (eps,)
    columns: list = []
    for index in np.ndindex(*x.array.shape):
        row = []
        for step in steps:
            was = x.array[index]
            values = []
            for sign in (1, -1):
                x.array[index] = was + sign * step
                values.append([_double(o.array) for o in chosen(function(*inputs))])
            x.array[index] = was
            row.append([(a - b) / (2 * eps) for a, b in zip(*values, strict=True)])
        columns.append(row)
    return columns


def _analytic(outputs, x, k, seed):
    (g,) = grad(outputs[k], x, from_array(seed), retain_graph=True, allow_unused=True)
    return np.zeros(x.array.shape, x.array.dtype) if g is None else g.detach().array


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Compare the gradients of ``func`` with central differences.

    Args:
        func: A function of tensors that returns a tensor, or a tuple of tensors.
        inputs: Tensor or tuple of the arguments. Those that require grad are checked; they should
            be float64 or complex128.
        eps: Step of the differences. Default: 1e-6.
        atol: Absolute tolerance. Default: 1e-5.
        rtol: Tolerance relative to the numeric gradient. Default: 1e-3.
        raise_exception: Raise an error if the gradients do not agree; False: return False.
            Default: True.
        nondet_tol: Largest difference between two runs of backward. Default: 0, none.
        check_undefined_grad, check_grad_dtypes: Accepted without effect.
        check_batched_grad, check_batched_forward_grad: Only False is supported, because there is no
            vmap.
        check_forward_ad: Only False is supported, because there is no forward mode.
        check_backward_ad, fast_mode, masked: Accepted without effect.

    Returns:
        True if the gradients agree.

    Raises:
        GradcheckError: The gradients do not agree, and ``raise_exception`` is True.
        ValueError: No input requires grad.

    >>> import rushlight as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(lambda x: x * x, (x,))
    True
    """
    inputs, wanted = _inputs(inputs)
    if check_forward_ad or check_batched_grad or check_batched_forward_grad:
        raise NotImplementedError(
            "gradcheck: forward-mode and batched checks need forward AD and vmap"
        )
    try:
        for x in wanted:
            _compare(func, inputs, x, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _compare(func, inputs, x, eps, atol, rtol, nondet_tol):
    outputs = _outputs(func(*inputs))
    if not outputs:  # then the numeric derivatives must be zero
        columns = _numeric(func, inputs, x, eps, _numbers)
        if any(np.any(c) for row in columns for step in row for c in step):
            raise GradcheckError("Numerical gradient for function expected to be zero")
        return
    columns = _numeric(func, inputs, x, eps)
    which = next(i for i, t in enumerate(inputs) if t is x)
    for k, out in enumerate(outputs):
        for j, index in enumerate(np.ndindex(*out.array.shape)):
            seeds = (1, 1j) if out.dtype.is_complex else (1,)
            for s in seeds:
                seed = np.zeros(out.array.shape, out.array.dtype)
                seed[index] = s
                got = _analytic(outputs, x, k, seed)
                again = _analytic(outputs, x, k, seed)
                if np.abs(got - again).max(initial=0) > nondet_tol:
                    raise GradcheckError(
                        f"Backward is not reentrant: output {k}, input {which}: two runs differ"
                    )
                want = _expected(columns, k, index, s, x)
                if not np.allclose(got, want, rtol, atol, equal_nan=True):
                    raise GradcheckError(
                        f"Jacobian mismatch for output {k} with respect to input {which}, at "
                        f"element {j} of the output\nnumerical:{want}\nanalytical:{got}\n"
                    )


def _expected(columns, k, index, seed, x):
    """The numeric gradient of x for one ``seed``, in PyTorch's convention for complex numbers."""
    real = np.array([np.real(np.conj(seed) * row[0][k][index]) for row in columns])
    want = real.astype(x.array.dtype)
    if x.dtype.is_complex:
        imag = np.array([np.real(np.conj(seed) * row[1][k][index]) for row in columns])
        want.imag = imag
    return want.reshape(x.array.shape)


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """Check the gradients of the gradients of ``func``, as ``gradcheck`` checks gradients.

    Args:
        func: A function of tensors that returns a tensor, or a tuple of tensors.
        inputs: Tensor or tuple of the arguments. Those that require grad are checked; they should
            be float64 or complex128.
        grad_outputs: Tensor or tensors of the outputs' shapes: the gradients of the outputs.
            Default: random numbers.
        eps: Step of the differences. Default: 1e-6.
        atol: Absolute tolerance. Default: 1e-5.
        rtol: Tolerance relative to the numeric gradient. Default: 1e-3.
        gen_non_contig_grad_outputs, check_undefined_grad: Accepted without effect.
        raise_exception: Raise an error if the gradients do not agree; False: return False.
            Default: True.
        nondet_tol: Largest difference between two runs of backward. Default: 0, none.
        check_grad_dtypes, check_batched_grad, check_fwd_over_rev: Accepted without effect.
        check_rev_over_rev, fast_mode, masked: Accepted without effect.

    Returns:
        True if the gradients agree.

    Raises:
        GradcheckError: The gradients do not agree, and ``raise_exception`` is True.
        ValueError: No input requires grad.

    >>> import rushlight as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(lambda x: x ** 3, (x,))
    True
    """
    inputs, _ = _inputs(inputs)
    outputs = _outputs(func(*inputs))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        seeds = [from_array(_random(rng, o.array)).requires_grad_() for o in outputs]
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    n = len(seeds)

    def first(*args):
        given, gs = args[:-n], args[-n:]
        outs = _outputs(func(*given))
        targets = [t for t in given if isinstance(t, Tensor) and t.requires_grad]
        return grad(outs, targets, gs, create_graph=True, allow_unused=True, materialize_grads=True)

    return gradcheck(
        first,
        (*inputs, *seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
    )


def _random(rng, like):
    a = rng.standard_normal(like.shape)
    if like.dtype.kind == "c":
        a = a + 1j * rng.standard_normal(like.shape)
    return np.asarray(a, like.dtype)
