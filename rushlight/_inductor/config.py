"""Settings of PyTorch's code generator that programs make; nothing reads them."""

from types import SimpleNamespace

from rushlight._dynamo.settings import patching

__all__ = ["patch"]

coordinate_descent_tuning = max_autotune = epilogue_fusion = freezing = False
fx_graph_cache = True
triton = SimpleNamespace(unique_kernel_names=False, cudagraphs=False, cudagraph_trees=True)
cpp = SimpleNamespace(threads=-1, simdlen=None)
patch = patching(globals())
