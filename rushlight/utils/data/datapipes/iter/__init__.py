"""torch.utils.data.datapipes.iter: steps of DataPipes that libraries ask for."""

from rushlight.utils.data.datapipes import IterDataPipe
from rushlight.utils.data.datapipes.iter.combinatorics import ShufflerIterDataPipe

__all__ = ["IterDataPipe", "Shuffler"]

Shuffler = ShufflerIterDataPipe
