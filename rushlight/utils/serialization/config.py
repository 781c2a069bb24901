"""Options of ``torch.load`` and ``torch.save``: ``load.mmap``, ``save.compute_crc32`` …"""

from rushlight.serialization.options import load, save

__all__ = ["load", "save"]
