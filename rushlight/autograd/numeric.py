"""Compare analytic with numeric gradients, by central differences in double precision."""

import warnings

import numpy as np

from rushlight import late
from rushlight.autograd.gradient import grad
from rushlight.dtype import COMPLEX_KINDS
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
        if t._array.dtype not in (np.float64, np.complex128):
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
    return a.astype(np.complex128 if a.dtype.kind in COMPLEX_KINDS else np.float64)


def _slopes(values, eps):
    """The central differences of the outputs: ``values`` at ``eps`` after and before a point."""
    pairs = [*zip(*values, strict=True)]
    for a, b in pairs:
        for name in ("shape", "dtype"):
            if getattr(a, name) != getattr(b, name):
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {name} when inputs are "
                    f"perturbed by {eps}, but got: {getattr(b, name)} and {getattr(a, name)}"
                )
    return [(_double(a) - _double(b)) / (2 * eps) for a, b in pairs]


def _numeric(function, inputs, x, eps, chosen=_outputs):
    """The derivatives of the outputs with respect to ``x``, by central differences.

    ``result[i][s][k]`` is an array: the derivative of output k with respect to element i of x. The
    step s is 0 for real steps, and 1 for imaginary steps, which only complex x have.
    """
    steps = (eps, eps * 1j) if x.dtype.is_complex else (eps,)
    columns: list = []
    for index in np.ndindex(*x._array.shape):
        row = []
        for step in steps:
            was = x._array[index]
            values = []
            for sign in (1, -1):
                x._array[index] = was + sign * step
                values.append([o._array.copy() for o in chosen(function(*inputs))])
            x._array[index] = was
            row.append(_slopes(values, eps))
        columns.append(row)
    return columns


def _analytic(outputs, x, k, seed):
    (g,) = grad(outputs[k], x, from_array(seed), retain_graph=True, allow_unused=True)
    return np.zeros(x._array.shape, x._array.dtype) if g is None else g.detach()._array


class Case:
    """A function at its inputs, with the tolerances of a comparison.

    A complex number counts as two real ones. So the derivative along a direction ``d`` of ``x`` is
    a tangent ``t`` of each output, and backward is right if Re(ḡ · d) = Re(v̄ · t) for the gradient
    ``g`` of x that belongs to the gradient ``v`` of the output.
    """

    def __init__(self, func, inputs, eps, atol, rtol, nondet_tol):
        self.func, self.inputs, self.eps = func, inputs, eps
        self.atol, self.rtol, self.nondet_tol = atol, rtol, nondet_tol
        self.outputs = _outputs(func(*inputs))

    def number(self, x):
        """The index of the input ``x``."""
        return next(i for i, t in enumerate(self.inputs) if t is x)

    # All directions -----------------------------------------------------------------------

    def in_all_directions(self, x, forward, backward):
        """Compare the derivatives with respect to each element of ``x``."""
        if not self.outputs:  # then the numeric derivatives must be zero
            columns = _numeric(self.func, self.inputs, x, self.eps, _numbers)
            if any(np.any(c) for row in columns for step in row for c in step):
                raise GradcheckError("Numerical gradient for function expected to be zero")
            return
        columns = _numeric(self.func, self.inputs, x, self.eps)
        if backward:
            for k, out in enumerate(self.outputs):
                for j, index in enumerate(np.ndindex(*out._array.shape)):
                    for seed in (1, 1j) if out.dtype.is_complex else (1,):
                        self._compare_gradient(x, columns, k, j, index, seed)
        if forward:
            for index, row in zip(np.ndindex(*x._array.shape), columns, strict=True):
                for step, want in zip((1, 1j), row, strict=False):
                    self._compare_tangents(x, index, step, want)

    def _compare_gradient(self, x, columns, k, j, index, seed):
        v = np.zeros(self.outputs[k]._array.shape, self.outputs[k]._array.dtype)
        v[index] = seed
        got = self._gradient(x, k, v)
        want = _expected(columns, k, index, seed, x)
        if not np.allclose(got, want, self.rtol, self.atol, equal_nan=True):
            raise GradcheckError(
                f"Jacobian mismatch for output {k} with respect to input {self.number(x)}, at "
                f"element {j} of the output\nnumerical:{want}\nanalytical:{got}\n"
            )

    def _compare_tangents(self, x, index, step, want):
        direction = np.zeros(x._array.shape, x._array.dtype)
        direction[index] = step
        for k, (t, w) in enumerate(zip(self._tangents(x, direction), want, strict=True)):
            if not np.allclose(t, w, self.rtol, self.atol, equal_nan=True):
                raise GradcheckError(
                    f"Jacobian computed with forward mode mismatch for output {k} with respect to "
                    f"input {self.number(x)}\nnumerical:{w}\nanalytical:{t}\n"
                )

    # One direction ------------------------------------------------------------------------

    def in_one_direction(self, x, forward, backward):
        """Compare the derivatives along one random direction of ``x`` and of each output."""
        rng = np.random.default_rng(0)
        direction = _unit(rng, x._array)
        chosen = _outputs if self.outputs else _numbers
        wants = self._differences(x, direction, chosen)
        if not self.outputs:
            if any(np.any(w) for w in wants):
                raise GradcheckError("Numerical gradient for function expected to be zero")
            return
        tangents = self._tangents(x, direction) if forward else [None] * len(wants)
        for k, (want, tangent) in enumerate(zip(wants, tangents, strict=True)):
            v = _unit(rng, self.outputs[k]._array)
            sums = np.abs(direction).sum() * np.abs(v).sum()
            found = [("", direction, self._gradient(x, k, v))] if backward else []
            found += [("computed with forward mode ", v, tangent)] if forward else []
            for mode, along, got in found:
                a, n = _along(got, along), _along(v, want)
                if not np.allclose(a, n, self.rtol, self.atol * sums, equal_nan=True):
                    raise GradcheckError(
                        f"Jacobian {mode}mismatch for output {k} with respect to input "
                        f"{self.number(x)}, along a random direction (fast mode)\nnumerical:{n}\n"
                        f"analytical:{a}\n"
                    )

    def _differences(self, x, direction, chosen):
        """The tangents of the outputs along ``direction``, by central differences."""
        was = x._array.copy()
        values = []
        for sign in (1, -1):
            x._array[...] = was + sign * self.eps * direction
            values.append([o._array.copy() for o in chosen(self.func(*self.inputs))])
        x._array[...] = was
        return _slopes(values, self.eps)

    # Batches ------------------------------------------------------------------------------

    def batch_of_gradients(self, x):
        """Compare the gradients of ``x`` for a batch of gradients of an output with single ones."""
        rng = np.random.default_rng(0)
        for k, out in enumerate(self.outputs):
            seeds = [_random(rng, out._array) for _ in range(2)]
            (got,) = grad(out, x, from_array(np.stack(seeds)), retain_graph=True,
                          allow_unused=True, is_grads_batched=True)  # fmt: skip
            want = np.stack([self._gradient(x, k, v) for v in seeds])
            self._compare_batch(x, k, np.zeros_like(want) if got is None else got._array, want)

    def batch_of_tangents(self, x):
        """Compare the tangents for a batch of directions of ``x`` with single ones."""
        from rushlight.func import vmap

        rng = np.random.default_rng(0)
        directions = [_random(rng, x._array) for _ in range(2)]
        batch = from_array(np.stack(directions))
        found = vmap(lambda d: self._tangents_of_tensors(x, d))(batch)
        for k, got in enumerate(found):
            want = np.stack([self._tangents(x, d)[k] for d in directions])
            self._compare_batch(x, k, got._array, want)

    def _compare_batch(self, x, k, got, want):
        if not np.allclose(got, want, self.rtol, self.atol, equal_nan=True):
            raise GradcheckError(
                f"Batched gradients of output {k} with respect to input {self.number(x)} differ "
                f"from single ones\nbatched:{got}\nsingle:{want}\n"
            )

    # Analytic derivatives -----------------------------------------------------------------

    def _gradient(self, x, k, v):
        """The gradient of ``x`` from the gradient ``v`` of output ``k``, computed twice."""
        got, again = [_analytic(self.outputs, x, k, v) for _ in range(2)]
        if np.abs(got - again).max(initial=0) > self.nondet_tol:
            raise GradcheckError(
                f"Backward is not reentrant: output {k}, input {self.number(x)}: two runs differ"
            )
        return got

    def _tangents(self, x, direction):
        found = self._tangents_of_tensors(x, from_array(direction))
        return [t.detach()._array for t in found]

    def _tangents_of_tensors(self, x, direction):
        from rushlight.autograd import forward_ad

        with forward_ad.dual_level():
            given = [forward_ad.make_dual(t.detach(), direction) if t is x else t
                     for t in self.inputs]  # fmt: skip
            pairs = [forward_ad.unpack_dual(o) for o in _numbers(self.func(*given))]
        keep = [o.requires_grad for o in _numbers(self.func(*self.inputs))]
        return tuple(
            [
                p.primal.new_zeros(p.primal.shape) if p.tangent is None else p.tangent
                for p, wanted in zip(pairs, keep, strict=True)
                if wanted
            ]
        )


def _unit(rng, like):
    """A random direction of length 1, without negative parts."""
    a = rng.random(like.shape)
    if like.dtype.kind == "c":
        a = a + 1j * rng.random(like.shape)
    return np.asarray(a / (np.linalg.norm(a) or 1), like.dtype)


def _along(x, y):
    """Re(x̄ · y), the product of two vectors of real numbers."""
    return np.real(np.vdot(x, y))


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
        check_batched_grad: Compare gradients of a batch, by ``vmap``, with single ones.
        check_batched_forward_grad: The same for tangents; needs ``check_forward_ad``.
        check_forward_ad: Check the tangents of forward mode.
        check_backward_ad: Check the gradients of backward mode. Default: True.
        fast_mode: Compare in one random direction of each input, not for each of its elements.
        check_undefined_grad, check_grad_dtypes, masked: Accepted without effect.

    Returns:
        True if the gradients agree.

    Raises:
        GradcheckError: The gradients do not agree, and ``raise_exception`` is True.
        ValueError: No input requires grad.

    A sparse input is checked at the elements that it stores, as by
    ``torch.sparse.as_sparse_gradcheck``.

    >>> import rushlight as torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(lambda x: x * x, (x,))
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("gradcheck: check_forward_ad or check_backward_ad must be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("gradcheck: check_batched_forward_grad needs check_forward_ad=True")
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    sparse = late.framework.sparse
    if any(isinstance(x, sparse.container.SparseTensor) for x in given):
        return sparse.as_sparse_gradcheck(gradcheck)(
            func, given, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
            nondet_tol=nondet_tol, check_batched_grad=check_batched_grad,
            check_batched_forward_grad=check_batched_forward_grad,
            check_forward_ad=check_forward_ad, check_backward_ad=check_backward_ad,
            fast_mode=fast_mode,
        )  # fmt: skip
    inputs, wanted = _inputs(inputs)
    case = Case(func, inputs, eps, atol, rtol, nondet_tol)
    try:
        for x in wanted:
            if fast_mode:
                case.in_one_direction(x, check_forward_ad, check_backward_ad)
            else:
                case.in_all_directions(x, check_forward_ad, check_backward_ad)
            if check_batched_grad:
                case.batch_of_gradients(x)
            if check_batched_forward_grad:
                case.batch_of_tangents(x)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _expected(columns, k, index, seed, x):
    """The numeric gradient of x for one ``seed``, in PyTorch's convention for complex numbers."""
    real = np.array([np.real(np.conj(seed) * row[0][k][index]) for row in columns])
    want = real.astype(x._array.dtype)
    if x.dtype.is_complex:
        imag = np.array([np.real(np.conj(seed) * row[1][k][index]) for row in columns])
        want.imag = imag
    return want.reshape(x._array.shape)


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
        gen_non_contig_grad_outputs: Random gradients of the outputs are not contiguous.
        raise_exception: Raise an error if the gradients do not agree; False: return False.
            Default: True.
        nondet_tol: Largest difference between two runs of backward. Default: 0, none.
        check_batched_grad, fast_mode: As for ``gradcheck``.
        check_fwd_over_rev: Check the tangents of the gradients.
        check_rev_over_rev: Check the gradients of the gradients. Default: True.
        check_undefined_grad, check_grad_dtypes, masked: Accepted without effect.

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
        seeds = [from_array(_random(rng, o._array)) for o in outputs]
        if gen_non_contig_grad_outputs:
            seeds = [_spaced(g) for g in seeds]
        seeds = [g.requires_grad_() for g in seeds]
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
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


def _spaced(x):
    """``x`` in memory with gaps."""
    return x.unsqueeze(-1).expand(*x.shape, 2).clone()[..., 0]


def _random(rng, like):
    a = rng.standard_normal(like.shape)
    if like.dtype.kind == "c":
        a = a + 1j * rng.standard_normal(like.shape)
    return np.asarray(a, like.dtype)
