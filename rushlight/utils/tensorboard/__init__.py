"""torch.utils.tensorboard: what a training tells TensorBoard, as event files."""

from rushlight.utils.tensorboard import summary
from rushlight.utils.tensorboard.writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "SummaryWriter", "summary"]
