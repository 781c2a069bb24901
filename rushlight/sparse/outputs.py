"""``out=`` of functions with sparse operands or results."""

from rushlight.autograd import mode
from rushlight.errors import LayoutError
from rushlight.ops.core.outputs import refuse_gradients, store
from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.sparse.container import SparseTensor, cast_into, in_words
from rushlight.sparse.conversion import as_coo, as_layout
from rushlight.tensor import Tensor

__all__ = ["write_out"]


def write_out(out, found, name):
    """Write the result ``found`` of the function ``name`` into ``out``, and return ``out``.

    A sparse ``out`` becomes the result: it gets the result's indices, in its own layout. A dense
    one takes dense results and those of compressed layouts, as in PyTorch.

    Raises:
        TypeError: ``out`` is no tensor.
        RuntimeError: ``out`` has another layout or dtype, or a gradient would be lost.
    """
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    given, wanted = [getattr(x, "layout", None) for x in (out, found)]
    into_dense = not isinstance(out, SparseTensor)
    if isinstance(found, SparseTensor) and into_dense and given is not wanted:
        found = found if wanted is sparse_coo else found.to_dense()
    if not isinstance(found, Tensor) or into_dense is isinstance(found, SparseTensor):
        raise LayoutError(
            f"{name}: a result of layout {in_words(wanted)} cannot be written into an out of "
            f"layout {in_words(given)}; make out by a conversion of the result"
        )
    if into_dense:
        return store(out, found, name, casts=True)
    refuse_gradients(name, (out, found))
    found = cast_into(found, out.dtype, name)
    if wanted is not given:
        found = as_layout(as_coo(found), given)
    with mode.no_grad():
        return out.become(found)
