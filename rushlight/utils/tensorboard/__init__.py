"""torch.utils.tensorboard: what a training tells TensorBoard, written by tensorboardX."""

from rushlight.utils.tensorboard.writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
