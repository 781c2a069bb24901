"""Functions of ``torch`` that are private in PyTorch, and which libraries call all the same."""

import rushlight
from rushlight.autograd.function import Function
from rushlight.dtype import (
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)  # fmt: skip
from rushlight.ops.tensor.memory_format import sparse_bsc, sparse_bsr, sparse_csc, sparse_csr

__all__: list[str] = []


def _cast(kind):
    def cast(input, non_blocking=False):
        return input.to(kind)

    return cast


_cast_Byte, _cast_Char, _cast_Short = _cast(uint8), _cast(int8), _cast(int16)
_cast_Int, _cast_Long, _cast_Half = _cast(int32), _cast(int64), _cast(float16)
_cast_Float, _cast_Double = _cast(float32), _cast(float64)


def _copied(name):
    def copied(input, *, out=None):
        found = getattr(input, name)()
        return found.clone() if out is None else out.copy_(found)

    return copied


ccol_indices_copy, col_indices_copy = _copied("ccol_indices"), _copied("col_indices")
crow_indices_copy, row_indices_copy = _copied("crow_indices"), _copied("row_indices")
indices_copy, values_copy = _copied("indices"), _copied("values")
_indices_copy, _values_copy = _copied("_indices"), _copied("_values")


def _convert_indices_from_coo_to_csr(input, size, *, out_int32=False, out=None):
    """Where each of ``size`` rows begins among sorted row numbers ``input``, and the last ends.

    >>> import rushlight as torch
    >>> torch._convert_indices_from_coo_to_csr(torch.tensor([0, 0, 2]), 3)
    tensor([0, 2, 2, 3])
    """
    rows = rushlight.arange(size + 1, dtype=input.dtype, device=input.device)
    return rushlight.searchsorted(input, rows, out_int32=out_int32, out=out)


def _convert_indices_from_csr_to_coo(
    crow_indices, col_indices, *, out_int32=False, transpose=False, out=None
):
    """The row and column of each element of a CSR tensor; ``transpose`` gives the column first.

    >>> import rushlight as torch
    >>> torch._convert_indices_from_csr_to_coo(torch.tensor([0, 2, 3]), torch.tensor([1, 4, 0]))
    tensor([[0, 0, 1],
            [1, 4, 0]])
    """
    rows = rushlight.arange(crow_indices.shape[-1] - 1, device=crow_indices.device)
    rows = rows.repeat_interleave(crow_indices.diff())
    pair = [col_indices, rows] if transpose else [rows, col_indices]
    kind = int32 if out_int32 else int64
    found = rushlight.stack([indices.to(kind) for indices in pair])
    return found if out is None else out.copy_(found)


def _sparse_broadcast_to(input, size):
    """The sparse COO tensor ``input``, broadcast to ``size``.

    >>> import rushlight as torch
    >>> torch._sparse_broadcast_to(torch.ones(1, 2).to_sparse(), (2, 2)).to_dense()
    tensor([[1., 1.],
            [1., 1.]])
    """
    from rushlight.sparse.shape import broadcast_to

    return broadcast_to(input, size)


def _validate_sparse_coo_tensor_args(
    indices, values, size, is_coalesced=None, check_pinning=None
):  # fmt: skip
    """Raise RuntimeError unless the arguments make a tensor of layout ``torch.sparse_coo``."""
    rushlight.sparse_coo_tensor(indices, values.detach(), size, is_coalesced=is_coalesced)


def _validate_sparse_compressed_tensor_args(
    compressed_indices, plain_indices, values, size, layout, check_pinning=None
):
    """Raise RuntimeError unless the arguments make a tensor of a compressed layout."""
    rushlight.sparse_compressed_tensor(
        compressed_indices, plain_indices, values.detach(), size, layout=layout
    )


def _validator(layout):
    def validate(compressed_indices, plain_indices, values, size, check_pinning=None):
        _validate_sparse_compressed_tensor_args(
            compressed_indices, plain_indices, values, size, layout
        )

    return validate


_validate_sparse_csr_tensor_args, _validate_sparse_csc_tensor_args = map(
    _validator, (sparse_csr, sparse_csc)
)
_validate_sparse_bsr_tensor_args, _validate_sparse_bsc_tensor_args = map(
    _validator, (sparse_bsr, sparse_bsc)
)


def _is_all_true(input):
    """Whether all elements of a bool tensor are True, as a 0-dim tensor."""
    return input.all()


def _is_any_true(input):
    """Whether an element of a bool tensor is True, as a 0-dim tensor."""
    return input.any()


def _local_scalar_dense(input):
    """The only element, as a Python number."""
    return input.item()


def _unsafe_view(input, size):
    """``input.view(size)``."""
    return input.view(size)


def _addmm_activation(input, mat1, mat2, *, beta=1, alpha=1, use_gelu=False, out=None):
    """``relu`` or ``gelu`` of ``addmm``.

    >>> import rushlight as torch
    >>> torch._addmm_activation(torch.tensor([-1.0]), torch.eye(2), torch.eye(2))
    tensor([[0., 0.],
            [0., 0.]])
    """
    found = rushlight.addmm(input, mat1, mat2, beta=beta, alpha=alpha)
    found = rushlight.nn.functional.gelu(found) if use_gelu else found.relu()
    return found if out is None else out.copy_(found)


def _neg_view(input):
    """``-input``, as a tensor of its own: rushlight has no views that negate."""
    return -input


def _efficientzerotensor(*size, **options):
    """``zeros``, with memory of its own."""
    return rushlight.zeros(*size, **options)


def _softmax_backward_data(grad_output, output, dim, input_dtype):
    """The gradient of a softmax's input, from that of its result ``output``.

    >>> import rushlight as torch
    >>> y = torch.tensor([0.25, 0.75])
    >>> torch._softmax_backward_data(torch.tensor([1.0, 0.0]), y, 0, torch.float32)
    tensor([ 0.1875, -0.1875])
    """
    weighted = grad_output * output
    return (weighted - output * weighted.sum(dim, True)).to(input_dtype)


def _log_softmax_backward_data(grad_output, output, dim, input_dtype):
    """The gradient of a log-softmax's input, from that of its result ``output``.

    >>> import rushlight as torch
    >>> y = torch.tensor([0.25, 0.75]).log()
    >>> torch._log_softmax_backward_data(torch.tensor([1.0, 0.0]), y, 0, torch.float32)
    tensor([ 0.7500, -0.7500])
    """
    return (grad_output - output.exp() * grad_output.sum(dim, True)).to(input_dtype)


def _nested_view_from_buffer(input, nested_size, nested_strides, offsets):
    """The strided nested tensor whose parts lie in the 1-D tensor ``input`` as the numbers say.

    >>> import rushlight as torch
    >>> sizes, strides = torch.tensor([[2], [1]]), torch.tensor([[1], [1]])
    >>> x = torch._nested_view_from_buffer(torch.arange(3), sizes, strides, torch.tensor([1, 0]))
    >>> [part.tolist() for part in x.unbind()]
    [[1, 2], [0]]
    """
    from rushlight.nested.strided import view_from_buffer

    sizes, strides = (tuple(map(tuple, t.tolist())) for t in (nested_size, nested_strides))
    return view_from_buffer(input, sizes, strides, tuple(offsets.tolist()))


def segment_reduce(
    data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None
):
    """Reduce the consecutive segments of a dim, each to one element.

    Args:
        data: Floating-point tensor.
        reduce: ``"sum"``, ``"mean"``, ``"amax"``, ``"amin"`` or ``"prod"``; ``"max"`` and ``"min"``
            are the same as ``"amax"`` and ``"amin"``.
        lengths: Integer tensor ``(*, N)``, the lengths of the N segments. Its dims before the last
            are those of ``data`` before ``axis``.
        indices: Refused, as in PyTorch.
        offsets: Integer tensor ``(*, N + 1)`` in place of ``lengths``: where each segment begins,
            and the last one ends.
        axis: The dim of the segments: the last dim of ``lengths``. Default: 0.
        unsafe: Leave out the check of ``lengths``. Default: False.
        initial: The number that each reduction begins with, and the result of an empty segment.
            Default: 0 for a sum, 1 for a product, infinities for extrema, nan for a mean.

    Returns:
        Tensor of ``data``'s shape, with N elements in the dim ``axis``.

    Raises:
        RuntimeError: neither ``lengths`` nor ``offsets`` is given, they do not fit ``data``, or
            ``reduce`` is another string.

    >>> import rushlight as torch
    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 5.0]), "sum", lengths=torch.tensor([2, 1]))
    tensor([3., 5.])
    """
    reduce = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    starts = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -float("inf"), "amin": float("inf")}
    if reduce not in starts:
        raise RuntimeError(
            f"segment_reduce: reduce argument must be one of {[*starts]}, got {reduce!r}"
        )
    bounds = _bounds(data, lengths, indices, offsets, axis, unsafe)
    axis, n = bounds.ndim - 1, bounds.shape[-1] - 1
    start = starts[reduce] if initial is None else initial
    places = rushlight.arange(data.shape[axis], device=data.device, dtype=bounds.dtype)
    places = places.expand((*bounds.shape[:-1], -1)).contiguous()
    trailing = (1,) * (data.ndim - bounds.ndim)
    which = rushlight.searchsorted(bounds, places, right=True)
    which = which.reshape(which.shape + trailing).expand(data.shape)
    # What lies before the first segment goes into an element of its own, and what lies behind.
    shape = (*data.shape[:axis], n + 2, *data.shape[axis + 1 :])
    before = data.new_full(shape, start)
    if reduce in ("sum", "mean"):
        found = before.scatter_add(axis, which, data)
    else:
        found = _Joined.apply(before, axis, which, data, reduce)
    found = found.narrow(axis, 1, n)
    if reduce == "mean":
        count = bounds.diff().reshape(*bounds.shape[:-1], n, *trailing)
        empty = float("nan") if initial is None else initial
        found = (found / count.clamp(min=1)).masked_fill(count == 0, empty)
    return found.contiguous()


class _Joined(Function):
    """The extrema or products of the elements of ``data`` that belong to one place of ``before``.

    The elements equal to an extremum share its gradient, and so do elements that are nan, because
    they make the extremum nan.
    """

    @staticmethod
    def forward(ctx, before, axis, which, data, reduce):
        out = before.scatter_reduce(axis, which, data, reduce)
        ctx.save_for_backward(before, which, data, out)
        ctx.axis, ctx.reduce = axis, reduce
        return out

    @staticmethod
    def backward(ctx, g):
        slope = _slope_of_products if ctx.reduce == "prod" else _slope_of_extrema
        before, which, data, out = ctx.saved_tensors
        return None, None, None, slope(g, before, which, data, out, ctx.axis), None


def _count(before, which, mask, axis):
    """For each place of ``before``, how often ``mask`` holds."""
    return before.new_zeros(before.shape).scatter_add(axis, which, mask.to(before.dtype))


def _slope_of_extrema(g, before, which, data, out, axis):
    met = (data == out.gather(axis, which)) | data.isnan()
    share = g / _count(before, which, met, axis).clamp(min=1)
    return share.gather(axis, which).where(met, 0)


def _slope_of_products(g, before, which, data, out, axis):
    """``g`` times the product of the others. No division undoes zeros and nans, so they count."""
    zero, broken = data == 0, data.isnan()
    safe = data.masked_fill(zero | broken, 1)
    others = before.scatter_reduce(axis, which, safe, "prod").gather(axis, which) / safe
    for mask, factor in ((zero, 0.0), (broken, float("nan"))):
        rest = _count(before, which, mask, axis).gather(axis, which) - mask.to(data.dtype)
        others = others.where(rest == 0, others * factor)
    return g.gather(axis, which) * others


def _bounds(data, lengths, indices, offsets, axis, unsafe):
    """Check the segments; return where each one begins, and the last one ends."""
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    given = offsets if lengths is None else lengths
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if axis % data.ndim != given.ndim - 1:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of lengths, got {axis}"
        )
    if lengths is None:
        return offsets.contiguous()
    if not unsafe:
        if lengths.numel() and lengths.min() < 0:
            raise RuntimeError("lengths contains negative value!")
        if bool((lengths.sum(-1) != data.shape[lengths.ndim - 1]).any()):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size("
                "lengths.dim()-1) when !unsafe."
            )
    return rushlight.nn.functional.pad(lengths.cumsum(-1), (1, 0))


def _segment_reduce(data, reduce, **options):
    """The name by which libraries call ``segment_reduce``."""
    return segment_reduce(data, reduce, **options)


def _amp_foreach_non_finite_check_and_unscale_(self, found_inf, inv_scale):
    """Multiply gradients by ``inv_scale`` in place; ``found_inf`` becomes 1 if one is not finite.

    Args:
        self: The list of gradients.
        found_inf, inv_scale: Float tensors of one element.

    Raises:
        RuntimeError: A tensor is not as it should be.

    >>> import rushlight as torch
    >>> gradients, found = [torch.tensor([2.0, torch.inf])], torch.zeros(1)
    >>> torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, torch.tensor([0.5]))
    >>> gradients, found
    ([tensor([1., inf])], tensor([1.]))
    """
    _require_one(inv_scale, "inv_scale")
    _require_one(found_inf, "found_inf")
    for g in self:
        if not g.is_floating_point():
            raise NotImplementedError(
                '"_amp_foreach_non_finite_check_and_unscale_cpu" not implemented for '
                f"{g.dtype}: gradients are floating point"
            )
    with rushlight.no_grad():
        for g in self:
            if not g.isfinite().all():
                found_inf.fill_(1)
            g.copy_(g * inv_scale)


def _amp_update_scale_(
    self, growth_tracker, found_inf, scale_growth_factor, scale_backoff_factor, growth_interval
):
    """Adapt the scale of a loss in place, as ``GradScaler.update`` does.

    Args:
        self: The scale, a float tensor of one element.
        growth_tracker: The number of steps since the scale's last change, an int32 tensor.
        found_inf: 1 if a gradient of this step was not finite, and else 0.
        scale_growth_factor, scale_backoff_factor, growth_interval: See ``GradScaler``.

    Returns:
        ``self``.

    Raises:
        RuntimeError: A tensor is not as it should be.

    >>> import rushlight as torch
    >>> steps = torch.zeros(1, dtype=torch.int32)
    >>> torch._amp_update_scale_(torch.tensor([8.0]), steps, torch.ones(1), 2.0, 0.5, 2000)
    tensor([4.])
    """
    _require_one(growth_tracker, "growth_tracker", "int", int32)
    _require_one(self, "current_scale")
    _require_one(found_inf, "found_inf")
    with rushlight.no_grad():
        if found_inf.item():
            self.mul_(scale_backoff_factor)
            growth_tracker.zero_()
            return self
        growth_tracker.add_(1)
        if growth_tracker.item() == growth_interval:
            grown = self * scale_growth_factor
            if grown.isfinite():
                self.copy_(grown)
            growth_tracker.zero_()
    return self


def _require_one(tensor, name, kind="float", dtype=float32):
    if tensor.numel() != 1:
        raise RuntimeError(f"{name} must be a 1-element tensor.")
    if tensor.dtype is not dtype:
        raise RuntimeError(f"{name} must be {'an' if kind == 'int' else 'a'} {kind} tensor.")
