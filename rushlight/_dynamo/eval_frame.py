"""torch._dynamo.eval_frame: the class of compiled modules, which programs ask for by this name."""

from rushlight.compiler.calls.compiled_module import OptimizedModule

__all__ = ["OptimizedModule"]
