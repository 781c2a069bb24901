"""The base of data sets that hold all their images in one array."""

from typing import Any

from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import from_array

__all__ = ["ArrayDataset"]


class ArrayDataset(VisionDataset):
    """Images ``data`` (N, 3, H, W) of bytes, and their ``labels`` (N,), of one ``split``."""

    data: Any
    labels: Any
    split: str

    def __getitem__(self, index):
        image = from_array(self.data[index].transpose(1, 2, 0), "RGB")
        return self._transformed(image, int(self.labels[index]))

    def __len__(self):
        return len(self.data)

    def extra_repr(self):
        return f"Split: {self.split}"
