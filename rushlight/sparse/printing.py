"""The text of a sparse tensor: its indices, its values, and what they do not tell."""

from rushlight.autograd.tape import Leaf, Output
from rushlight.device_array import to_host
from rushlight.dtype import get_default_dtype
from rushlight.meta import is_meta
from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.printing import OPTIONS, contents, must_name
from rushlight.remote import is_remote
from rushlight.sparse.container import BY_ROW

__all__ = ["text"]

_INDENT = len("tensor(")


def text(x):
    """Return the text of the sparse tensor ``x``, as PyTorch prints it."""
    if x.form is sparse_coo:
        names: tuple = ("indices",)
    else:
        names = ("crow_indices", "col_indices") if x.form in BY_ROW else (
            "ccol_indices", "row_indices")  # fmt: skip
    parts = zip((*names, "values"), (*x.pattern, x.stored.detach()), strict=True)
    lines = [_part(name, t) for name, t in parts]
    body = (",\n" + " " * _INDENT).join(lines)
    if is_meta(x.stored):
        suffixes = ["device='meta'", f"size={x.sizes}"]
    else:
        where = [f"device='{x.stored.device}'"] if is_remote(x.stored) else []
        suffixes = [*where, f"size={x.sizes}", f"nnz={x._nnz()}"]
    if must_name(x.dtype, get_default_dtype(), empty=False):
        suffixes.append(f"dtype={x.dtype}")
    suffixes.append(f"layout={x.form}")
    node = x.node
    if node is not None and type(node) is not Leaf:
        name = type(node.source if type(node) is Output else node).__name__
        suffixes.append(f"grad_fn=<{name}>")
    elif node is not None:
        suffixes.append("requires_grad=True")
    return _with_suffixes("tensor(" + body, suffixes, x.form is sparse_coo) + ")"


def _part(name, t):
    start = f"{name}=tensor("
    if is_meta(t):
        return f"{start}..., size={tuple(t.shape)})"
    found = start + contents(to_host(t._array), t.dtype, _INDENT + len(start))
    return found + (")" if t.numel() else f", size={tuple(t.shape)})")


def _with_suffixes(body, suffixes, first_below):
    """Add the suffixes, each on a new line where the last one has no room for it."""
    column = len(body) - body.rfind("\n") + 1
    for suffix in suffixes:
        if first_below or column + len(suffix) + 2 > OPTIONS.linewidth:
            body += ",\n" + " " * _INDENT + suffix
            column, first_below = _INDENT + len(suffix), False
        else:
            body += ", " + suffix
            column += len(suffix) + 2
    return body
