"""Anchors: boxes of several sizes and shapes at each place of a feature map."""

import rushlight as torch
from rushlight import nn

__all__ = ["AnchorGenerator", "DefaultBoxGenerator", "ImageList"]


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


class DefaultBoxGenerator(nn.Module):
    """Makes boxes of several shapes at each place of feature maps, in parts of the image's size.

    ``aspect_ratios`` has a list for each map: ratios of the sides, each of which stands for two
    boxes; there are two squares besides. ``scales`` has the sides of each map's boxes and of one
    more map; by default they grow evenly from ``min_ratio`` to ``max_ratio``. ``steps`` has the
    pixels between a map's places; by default the places divide the image evenly. With ``clip``, no
    side is longer than the image.
    """

    def __init__(
        self, aspect_ratios, min_ratio=0.15, max_ratio=0.9, scales=None, steps=None, clip=True
    ):
        super().__init__()
        count = len(aspect_ratios)
        if steps is not None and len(steps) != count:
            raise AssertionError(f"{len(steps)} steps were given for {count} aspect_ratios")
        self.aspect_ratios, self.steps, self.clip = aspect_ratios, steps, clip
        if scales is None and count == 1:
            scales = [min_ratio, max_ratio]
        elif scales is None:
            span = max_ratio - min_ratio
            scales = [*[min_ratio + span * k / (count - 1.0) for k in range(count)], 1.0]
        self.scales = scales
        self._wh_pairs = [self._sides(k) for k in range(count)]

    def _sides(self, k):
        """The widths and heights (N, 2) of the boxes of map ``k``."""
        side, between = self.scales[k], (self.scales[k] * self.scales[k + 1]) ** 0.5
        found = [[side, side], [between, between]]
        for ratio in self.aspect_ratios[k]:
            long, short = side * ratio**0.5, side / ratio**0.5
            found += [[long, short], [short, long]]
        return torch.as_tensor(found, dtype=torch.float32)

    def num_anchors_per_location(self):
        """The number of boxes at a place of each map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def _grid(self, k, size, image_size):
        """The boxes of map ``k``: centres and sides, (N, 4)."""
        places = size
        if self.steps is not None:
            places = [pixels / self.steps[k] for pixels in image_size]
        y, x = ((torch.arange(n) + 0.5) / of for n, of in zip(size, places, strict=True))
        y, x = torch.meshgrid(y.float(), x.float(), indexing="ij")
        sides = self._wh_pairs[k].clamp(0, 1) if self.clip else self._wh_pairs[k]
        centres = torch.stack([x.reshape(-1), y.reshape(-1)], 1)
        centres = centres.repeat_interleave(len(sides), 0)
        return torch.cat([centres, sides.repeat(size[0] * size[1], 1)], 1)

    def forward(self, image_list, feature_maps):
        height, width = image_list.tensors.shape[-2:]
        grids = [
            self._grid(k, tuple(x.shape[-2:]), (height, width)) for k, x in enumerate(feature_maps)
        ]
        boxes = torch.cat(grids).to(feature_maps[0].dtype)
        centres, half = boxes[:, :2], 0.5 * boxes[:, 2:]
        size = torch.tensor([width, height, width, height], dtype=boxes.dtype)
        return [torch.cat([centres - half, centres + half], 1) * size
                for _ in image_list.image_sizes]  # fmt: skip

    def __repr__(self):
        return (
            f"{type(self).__name__}(aspect_ratios={self.aspect_ratios}, clip={self.clip}, "
            f"scales={self.scales}, steps={self.steps})"
        )
