"""The base of the data sets of images."""

import os

from rushlight.utils.data import Dataset

__all__ = ["StandardTransform", "VisionDataset"]


class StandardTransform:
    """Applies one transform to the image and another to the target."""

    def __init__(self, transform=None, target_transform=None):
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input, target):
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self):
        lines = [type(self).__name__]
        for head, transform in (
            ("Transform: ", self.transform), ("Target transform: ", self.target_transform),
        ):  # fmt: skip
            if transform is not None:
                first, *rest = repr(transform).splitlines()
                lines += [head + first, *(" " * len(head) + line for line in rest)]
        return "\n".join(lines)


class VisionDataset(Dataset):
    """Images and targets under the folder ``root``.

    A subclass defines ``__getitem__``, which ends by ``_transformed``, and ``__len__``.

    Args:
        root: The folder of the data. Default: None.
        transforms: Function of an image and a target that returns both. Default: None.

    Raises:
        ValueError: ``transforms`` (for image and target together) is given as well as
            ``transform`` or ``target_transform``.

    >>> from rushlight.vision.datasets import VisionDataset
    >>> class Numbers(VisionDataset):
    ...     def __getitem__(self, index):
    ...         return self._transformed(index, -index)
    >>> Numbers(transform=lambda image: 10 * image)[3]
    (30, -3)
    """

    def __init__(self, root=None, transforms=None, transform=None, target_transform=None):
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError(
                f"{type(self).__name__}: give either transforms, or transform and target_transform"
            )
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} defines no __len__")

    def _transformed(self, image, target):
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def _transformed_together(self, image, target):
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def extra_repr(self):
        """More lines for the repr."""
        return ""

    def __repr__(self):
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        if self.transforms is not None:
            lines.append(repr(self.transforms))
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])
