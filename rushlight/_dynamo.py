"""torch._dynamo: what programs ask of PyTorch's tracer, where rushlight has an answer."""

from types import SimpleNamespace

from rushlight.compiler import disable, is_compiling, reset

__all__ = ["allow_in_graph", "config", "disable", "is_compiling", "mark_dynamic", "reset"]

#: Settings that programs make; nothing reads them.
config = SimpleNamespace(
    cache_size_limit=8, suppress_errors=False, verbose=False, capture_scalar_outputs=False,
    dynamic_shapes=True, recompile_limit=8, automatic_dynamic_shapes=True, optimize_ddp=True,
)  # fmt: skip


def allow_in_graph(fn):
    """``fn``, or the list of functions: every function is traced."""
    return fn


def mark_dynamic(tensor, index, **bounds):
    """Accepted: another shape is another program."""
