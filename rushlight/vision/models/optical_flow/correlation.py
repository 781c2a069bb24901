"""How alike the places of two maps are, looked up around given places; and finer flows."""

import math

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F

__all__ = ["CorrBlock", "grid_of", "upsampled"]


def grid_of(count, height, width, device, dtype):
    """The places (x, y) of a map: (count, 2, height, width)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).to(device, dtype).repeat(count, 1, 1, 1)


def _sampled(maps, places):
    """The values of ``maps`` (N, C, H, W) at ``places`` (N, h, w, 2), between pixels, too."""
    sizes = maps.shape[-1], maps.shape[-2]
    # grid_sample counts places from -1 to 1.
    scaled = [
        2 * places[..., i] / (n - 1) - 1 if n > 1 else places[..., i] for i, n in enumerate(sizes)
    ]
    return F.grid_sample(maps, torch.stack(scaled, -1), mode="bilinear", align_corners=True)


class CorrBlock(nn.Module):
    """Products of all places of two maps, at ``num_levels`` sizes, looked up around a place."""

    def __init__(self, *, num_levels=4, radius=4):
        super().__init__()
        self.num_levels, self.radius = num_levels, radius
        self.corr_pyramid: list = [torch.tensor(0)]
        self.out_channels = num_levels * (2 * radius + 1) ** 2

    def build_pyramid(self, fmap1, fmap2):
        """Compare two maps (N, C, H, W).

        Raises:
            ValueError: the maps differ in shape, or are too small for the pyramid.
        """
        if fmap1.shape != fmap2.shape:
            raise ValueError(
                f"Input feature maps should have the same shape, instead got {fmap1.shape} (fmap1) "
                f"!= {fmap2.shape} (fmap2)"
            )
        n, channels, height, width = fmap1.shape
        least = 2 * 2 ** (self.num_levels - 1)
        if min(height, width) < least:
            raise ValueError(
                "Feature maps are too small to be down-sampled by the correlation pyramid: H and W "
                f"should be at least {least}, got {(height, width)}"
            )
        products = fmap1.flatten(2).transpose(1, 2) @ fmap2.flatten(2) / math.sqrt(channels)
        level = products.reshape(n * height * width, 1, height, width)
        self.corr_pyramid = [level]
        for _ in range(self.num_levels - 1):
            level = F.avg_pool2d(level, 2, 2)
            self.corr_pyramid.append(level)

    def index_pyramid(self, centroids_coords):
        """The products around places (N, 2, H, W): (N, out_channels, H, W)."""
        n, _, height, width = centroids_coords.shape
        side = torch.linspace(-self.radius, self.radius, 2 * self.radius + 1)
        around = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1)
        around = around.to(centroids_coords.device, centroids_coords.dtype)
        centres = centroids_coords.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
        found = []
        for level in self.corr_pyramid:
            found.append(_sampled(level, centres + around).view(n, height, width, -1))
            centres = centres / 2
        return torch.cat(found, -1).permute(0, 3, 1, 2).contiguous()


def upsampled(flow, mask, factor=8):
    """The flow (N, 2, H, W) at ``factor`` times the size.

    ``mask`` (N, 9 · factor · factor, H, W) has logits of the shares of the 9 places around; without
    it the flow is resized.
    """
    n, channels, height, width = flow.shape
    size = height * factor, width * factor
    if mask is None:
        return factor * F.interpolate(flow, size, mode="bilinear", align_corners=True)
    shares = mask.view(n, 1, 9, factor, factor, height, width).softmax(2)
    around = F.unfold(factor * flow, 3, padding=1).view(n, channels, 9, 1, 1, height, width)
    return (shares * around).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(n, channels, *size)
