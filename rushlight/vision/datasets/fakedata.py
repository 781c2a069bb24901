"""Noise in the shape of a data set."""

import rushlight as torch
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.transforms.functional import to_pil_image

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """Random images, each of which is the same whenever it is read.

    Args:
        size: Number of images. Default: 1000.
        image_size: The shape (channels, height, width) of an image. Default: (3, 224, 224).
        num_classes: Number of classes, of which one is drawn for each image. Default: 10.
        random_offset: Number added to the index, which is the seed of an image. Default: 0.

    >>> from rushlight.vision.datasets import FakeData
    >>> image, target = FakeData(size=10, image_size=(3, 8, 8))[0]
    >>> image.mode, image.size, target
    ('RGB', (8, 8), 6)
    """

    def __init__(
        self, size=1000, image_size=(3, 224, 224), num_classes=10, transform=None,
        target_transform=None, random_offset=0,
    ):  # fmt: skip
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.image_size = image_size
        self.num_classes = num_classes
        self.random_offset = random_offset

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(f"FakeData: index {index} is out of range for {len(self)} images")
        state = torch.get_rng_state()
        torch.manual_seed(index + self.random_offset)
        image = torch.randn(*self.image_size)
        target = torch.randint(0, self.num_classes, (1,))[0]
        torch.set_rng_state(state)
        image, target = self._transformed(to_pil_image(image), target)
        return image, target.item()

    def __len__(self):
        return self.size
