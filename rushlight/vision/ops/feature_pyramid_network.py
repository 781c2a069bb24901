"""Feature pyramids: feature maps of several scales, and regions of them."""

from collections import OrderedDict
from typing import Any

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.ops.boxes import box_area
from rushlight.vision.ops.misc import Conv2dNormActivation
from rushlight.vision.ops.regions import roi_align, rois_of

__all__ = [
    "ExtraFPNBlock", "FeaturePyramidNetwork", "LastLevelMaxPool", "LastLevelP6P7",
    "MultiScaleRoIAlign",
]  # fmt: skip


class ExtraFPNBlock(nn.Module):
    """The base class of blocks that add coarser maps to a feature pyramid."""

    def forward(self, results, x, names):
        """Return the maps and their names, from the results, the inputs and the names."""


class FeaturePyramidNetwork(nn.Module):
    """Adds to each feature map the coarser ones, so that all have the meaning of the coarsest.

    Shape: a dict of (N, C_i, H_i, W_i), from fine to coarse → the same with out_channels.

    Args:
        in_channels_list: Sequence of the C_i.
        out_channels: Number of channels of each result.
        extra_blocks: An ``ExtraFPNBlock`` that adds coarser maps. Default: None.
        norm_layer: Function of a number of channels that makes a normalization layer. Default:
            None.

    Raises:
        ValueError: One of the C_i is 0.
        TypeError: ``extra_blocks`` is not an ``ExtraFPNBlock``.

    Source: Lin et al. 2016, https://arxiv.org/abs/1612.03144

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import FeaturePyramidNetwork
    >>> maps = {"a": torch.ones(1, 2, 8, 8), "b": torch.ones(1, 4, 4, 4)}
    >>> [tuple(x.shape) for x in FeaturePyramidNetwork([2, 4], 5)(maps).values()]
    [(1, 5, 8, 8), (1, 5, 4, 4)]
    """

    _version = 2

    def __init__(self, in_channels_list, out_channels, extra_blocks=None, norm_layer=None):
        super().__init__()
        self.inner_blocks = nn.ModuleList()
        self.layer_blocks = nn.ModuleList()
        options = {"norm_layer": norm_layer, "activation_layer": None}
        for channels in in_channels_list:
            if channels == 0:
                raise ValueError("in_channels=0 is currently not supported")
            inner = Conv2dNormActivation(channels, out_channels, 1, padding=0, **options)
            layer = Conv2dNormActivation(out_channels, out_channels, 3, **options)
            self.inner_blocks.append(inner)
            self.layer_blocks.append(layer)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(
                f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}"
            )
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if (local_metadata.get("version") or 1) < 2:  # the blocks were bare convolutions then
            for block in ("inner_blocks", "layer_blocks"):
                for i in range(len(self.inner_blocks)):
                    for kind in ("weight", "bias"):
                        old = f"{prefix}{block}.{i}.{kind}"
                        if old in state_dict:
                            state_dict[f"{prefix}{block}.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def get_result_from_inner_blocks(self, x, idx):
        """``inner_blocks[idx](x)``."""
        return self.inner_blocks[idx](x)

    def get_result_from_layer_blocks(self, x, idx):
        """``layer_blocks[idx](x)``."""
        return self.layer_blocks[idx](x)

    def forward(self, x):
        names, maps = list(x), list(x.values())
        last = self.get_result_from_inner_blocks(maps[-1], -1)
        results = [self.get_result_from_layer_blocks(last, -1)]
        for i in range(len(maps) - 2, -1, -1):
            lateral = self.get_result_from_inner_blocks(maps[i], i)
            last = lateral + F.interpolate(last, size=lateral.shape[-2:], mode="nearest")
            results.insert(0, self.get_result_from_layer_blocks(last, i))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=False))


class LastLevelMaxPool(ExtraFPNBlock):
    """Adds every second pixel of the coarsest map as the map "pool"."""

    def forward(self, results, x, names):
        pooled = F.max_pool2d(results[-1], kernel_size=1, stride=2, padding=0)
        return [*results, pooled], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Adds two coarser maps, "p6" and "p7", by convolutions of stride 2."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for module in (self.p6, self.p7):
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.constant_(module.bias, 0)
        self.use_P5 = in_channels == out_channels

    def forward(self, results, x, names):
        p6 = self.p6(results[-1] if self.use_P5 else x[-1])
        return [*results, p6, self.p7(F.relu(p6))], [*names, "p6", "p7"]


class MultiScaleRoIAlign(nn.Module):
    """``roi_align`` of each region in that map of a pyramid whose scale fits the region's size.

    Shape: a dict of (N, C, H_i, W_i), a list of (L, 4), a list of sizes → (K, C, *output_size).

    Args:
        featmap_names: Names of the maps that are used, from fine to coarse.
        canonical_scale: Side of a region, in pixels, for which ``canonical_level`` is the level.
            Default: 224.
        canonical_level: The level of such a region. Default: 4.

    Source: Lin et al. 2016, https://arxiv.org/abs/1612.03144, equation 1

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import MultiScaleRoIAlign
    >>> layer = MultiScaleRoIAlign(["a", "b"], 3, sampling_ratio=2)
    >>> maps = {"a": torch.ones(1, 5, 32, 32), "b": torch.ones(1, 5, 16, 16)}
    >>> layer(maps, [torch.tensor([[0.0, 0.0, 20.0, 20.0]])], [(64, 64)]).shape
    torch.Size([1, 5, 3, 3])
    """

    def __init__(
        self, featmap_names, output_size, sampling_ratio, *, canonical_scale=224,
        canonical_level=4,
    ):  # fmt: skip
        super().__init__()
        size = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = tuple(size)
        self.scales: Any = None
        self.map_levels: Any = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def _set_up(self, maps, image_shapes):
        """Find the maps' scales; they are kept for later calls, as torchvision's are."""
        if not image_shapes:
            raise ValueError("images list should not be empty")
        height = max(shape[0] for shape in image_shapes)
        exponents = [
            float(torch.tensor(x.shape[-2] / height, dtype=torch.float32).log2().round())
            for x in maps
        ]
        self.scales = [2.0**exponent for exponent in exponents]
        low, high = int(-exponents[0]), int(-exponents[-1])

        def levels(boxes):
            side = torch.sqrt(torch.cat([box_area(each) for each in boxes]))
            level = self.canonical_level + torch.log2(side / self.canonical_scale)
            level = torch.floor(level + torch.tensor(1e-6, dtype=side.dtype))
            return level.clamp(low, high).to(torch.int64) - low

        self.map_levels = levels

    def forward(self, x, boxes, image_shapes):
        maps = [x[name] for name in x if name in self.featmap_names]
        if self.scales is None:
            self._set_up(maps, image_shapes)
        rois = rois_of(boxes, "MultiScaleRoIAlign")
        ratio = self.sampling_ratio
        if len(maps) == 1:
            return roi_align(maps[0], rois, self.output_size, self.scales[0], ratio)
        levels = self.map_levels(boxes)
        found, order = [], []
        for level, (each, scale) in enumerate(zip(maps, self.scales, strict=True)):
            chosen = torch.where(levels == level)[0]
            found.append(roi_align(each, rois[chosen], self.output_size, scale, ratio))
            order.append(chosen)
        return torch.cat(found)[torch.cat(order).argsort()]

    def __repr__(self):
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, "
            f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio})"
        )
