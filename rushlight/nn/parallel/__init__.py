"""Models on several devices: here there is one."""

from rushlight.nn.parallel.data_parallel import DataParallel, data_parallel

__all__ = ["DataParallel", "data_parallel"]
