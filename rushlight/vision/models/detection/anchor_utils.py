"""Anchors: boxes of several sizes and shapes at each place of a feature map."""

import rushlight as torch
from rushlight import nn

__all__ = ["AnchorGenerator", "ImageList"]


class ImageList:
    """Images of one batch, padded to one size, and their own sizes."""

    def __init__(self, tensors, image_sizes):
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device):
        """The images on a device."""
        return ImageList(self.tensors.to(device), self.image_sizes)


class AnchorGenerator(nn.Module):
    """Makes boxes of several sizes and shapes at each place of feature maps.

    ``sizes`` and ``aspect_ratios`` have a tuple for each map: sides in pixels, and heights divided
    by widths.
    """

    def __init__(self, sizes=((128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),)):
        super().__init__()
        if not isinstance(sizes[0], (list, tuple)):
            sizes = tuple((size,) for size in sizes)
        if not isinstance(aspect_ratios[0], (list, tuple)):
            aspect_ratios = (aspect_ratios,) * len(sizes)
        self.sizes = sizes
        self.aspect_ratios = aspect_ratios
        pairs = zip(sizes, aspect_ratios, strict=False)
        self.cell_anchors = [self.generate_anchors(*pair) for pair in pairs]

    def generate_anchors(self, scales, aspect_ratios, dtype=torch.float32, device="cpu"):
        """The boxes (N, 4) around the place (0, 0)."""
        scales = torch.as_tensor(scales, dtype=dtype, device=device)
        tall = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()
        w = ((1 / tall)[:, None] * scales).reshape(-1)
        h = (tall[:, None] * scales).reshape(-1)
        return (torch.stack([-w, -h, w, h], 1) / 2).round()

    def set_cell_anchors(self, dtype, device):
        """Convert the boxes of one place."""
        self.cell_anchors = [cell.to(dtype=dtype, device=device) for cell in self.cell_anchors]

    def num_anchors_per_location(self):
        """The number of boxes at a place of each map."""
        pairs = zip(self.sizes, self.aspect_ratios, strict=False)
        return [len(size) * len(ratio) for size, ratio in pairs]

    def grid_anchors(self, grid_sizes, strides):
        """The boxes of each map, from the maps' sizes and the pixels between their places."""
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise AssertionError(
                f"{len(self.cell_anchors)} tuples of sizes and aspect ratios were given for "
                f"{len(grid_sizes)} feature maps; there must be one for each map"
            )
        found = []
        for (rows, columns), (down, across), cell in zip(
            grid_sizes, strides, self.cell_anchors, strict=True
        ):
            y = (torch.arange(rows) * down).reshape(-1, 1).expand(rows, columns).reshape(-1)
            x = (torch.arange(columns) * across).expand(rows, columns).reshape(-1)
            steps = torch.stack([x, y, x, y], 1)
            found.append((steps[:, None] + cell).reshape(-1, 4))
        return found

    def forward(self, image_list, feature_maps):
        grids = [tuple(x.shape[-2:]) for x in feature_maps]
        height, width = image_list.tensors.shape[-2:]
        strides = [(height // rows, width // columns) for rows, columns in grids]
        self.set_cell_anchors(feature_maps[0].dtype, feature_maps[0].device)
        together = torch.cat(self.grid_anchors(grids, strides))
        return [together for _ in image_list.image_sizes]
