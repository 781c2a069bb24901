"""The processor as the stages of the compiler see it."""

from rushlight.compiler.codegen import elementwise
from rushlight.compiler.cpu.target import host

__all__ = ["PROCESSOR"]


class Processor:
    """This computer's processor, or the one that RUSHLIGHT_CPU names: a ``Machine``."""

    halves = property(lambda self: host().halves)
    scales = property(lambda self: "+avx512f" in host().features.split(","))
    price = staticmethod(elementwise.price)


PROCESSOR = Processor()
