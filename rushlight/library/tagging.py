"""``torch.Tag``: properties of operators, which rushlight accepts and does not keep."""

from enum import Enum

__all__ = ["Tag"]


class Tag(Enum):
    """A property of an operator, for ``tags=`` of ``torch.library``'s functions.

    >>> import rushlight as torch
    >>> torch.Tag.pt2_compliant_tag
    <Tag.pt2_compliant_tag: 17>
    """

    (
        core, cudagraph_unsafe, data_dependent_output, dynamic_output_shape, flexible_layout,
        generated, inplace, inplace_view, maybe_aliasing_or_mutating, needs_contiguous_strides,
        needs_exact_strides, needs_fixed_stride_order, nondeterministic_bitwise,
        nondeterministic_seeded, out, out_variant, pointwise, pt2_compliant_tag, reduction,
        view_copy,
    ) = range(20)  # fmt: skip
