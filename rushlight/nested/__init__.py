"""``torch.nested``: batches of tensors of different lengths, without padding.

>>> import rushlight as torch
>>> x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)
>>> y = torch.nn.Linear(3, 5)(x)
>>> [tuple(part.shape) for part in y.unbind()]
[(2, 5), (4, 5)]
"""

# The modules of the rules bind them to the classes.
from rushlight.nested import attention as attention
from rushlight.nested import container, copying
from rushlight.nested import functions as functions
from rushlight.nested import matmul as matmul
from rushlight.nested import padding as padding
from rushlight.nested import reductions as reductions
from rushlight.nested import shape as shape
from rushlight.nested import strided_views as strided_views
from rushlight.nested.construction import (
    as_nested_tensor,
    masked_select,
    narrow,
    nested_tensor,
    nested_tensor_from_jagged,
    to_padded_tensor,
)
from rushlight.nested.jagged import NestedTensor
from rushlight.nested.strided import StridedNestedTensor

__all__ = [
    "as_nested_tensor", "masked_select", "narrow", "nested_tensor", "nested_tensor_from_jagged",
    "to_padded_tensor",
]  # fmt: skip

for _of in (NestedTensor, StridedNestedTensor):
    container.bind_in_place(_of)
    copying.share(_of)
