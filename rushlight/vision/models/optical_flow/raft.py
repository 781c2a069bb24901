"""RAFT: the flow between two images, which a recurrent block improves again and again."""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.optical_flow.correlation import CorrBlock, grid_of, upsampled
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation
from rushlight.vision.transforms.presets import OpticalFlow

__all__ = ["RAFT", "Raft_Large_Weights", "Raft_Small_Weights", "raft_large", "raft_small"]

Raft_Large_Weights = weights_enum("Raft_Large_Weights", __name__, OpticalFlow)
Raft_Small_Weights = weights_enum("Raft_Small_Weights", __name__, OpticalFlow)


def _conv(inputs, outputs, kernel, norm_layer=None, stride=1, activation=nn.ReLU):
    return Conv2dNormActivation(
        inputs, outputs, kernel, stride=stride, norm_layer=norm_layer, bias=True,
        activation_layer=activation,
    )  # fmt: skip


class ResidualBlock(nn.Module):
    """Two convolutions, to whose result the input is added.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels, out_channels, *, norm_layer, stride=1, always_project=False):
        super().__init__()
        self.convnormrelu1 = _conv(in_channels, out_channels, 3, norm_layer, stride)
        self.convnormrelu2 = _conv(out_channels, out_channels, 3, norm_layer)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or always_project:
            self.downsample = _conv(in_channels, out_channels, 1, norm_layer, stride, None)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.downsample(x) + self.convnormrelu2(self.convnormrelu1(x)))


class BottleneckBlock(nn.Module):
    """A convolution between two of 1×1, to whose result the input is added.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels, out_channels, *, norm_layer, stride=1):
        super().__init__()
        inner = out_channels // 4
        self.convnormrelu1 = _conv(in_channels, inner, 1, norm_layer)
        self.convnormrelu2 = _conv(inner, inner, 3, norm_layer, stride)
        self.convnormrelu3 = _conv(inner, out_channels, 1, norm_layer)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1:
            self.downsample = _conv(in_channels, out_channels, 1, norm_layer, stride, None)

    def forward(self, x):
        y = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        return self.relu(self.downsample(x) + y)


class FeatureEncoder(nn.Module):
    """Maps of an image, an eighth of its size. Shape: x: (N, 3, H, W) → (N, C, H / 8, W / 8)."""

    def __init__(
        self, *, block=ResidualBlock, layers=(64, 64, 96, 128, 256), strides=(2, 1, 2, 2),
        norm_layer=nn.BatchNorm2d,
    ):  # fmt: skip
        super().__init__()
        if len(layers) != 5:
            raise ValueError(f"FeatureEncoder: layers needs 5 numbers, got {len(layers)}")
        self.convnormrelu = _conv(3, layers[0], 7, norm_layer, strides[0])
        for i in (1, 2, 3):
            first = block(layers[i - 1], layers[i], norm_layer=norm_layer, stride=strides[i])
            second = block(layers[i], layers[i], norm_layer=norm_layer)
            self.add_module(f"layer{i}", nn.Sequential(first, second))
        self.conv = nn.Conv2d(layers[3], layers[4], 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.output_dim = layers[-1]
        self.downsample_factor = 2 ** sum(stride == 2 for stride in strides)

    def forward(self, x):
        return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))


class MotionEncoder(nn.Module):
    """Features of the flow and of the correlations around its ends.

    Shape: flow: (N, 2, H, W), corr_features: (N, in_channels_corr, H, W) → (N, out_channels, H, W).
    """

    def __init__(
        self, *, in_channels_corr, corr_layers=(256, 192), flow_layers=(128, 64), out_channels=128
    ):
        super().__init__()
        if len(flow_layers) != 2 or len(corr_layers) not in (1, 2):
            raise ValueError("MotionEncoder: needs 2 flow_layers, and 1 or 2 corr_layers")
        self.convcorr1 = _conv(in_channels_corr, corr_layers[0], 1)
        self.convcorr2: nn.Module = nn.Identity()
        if len(corr_layers) == 2:
            self.convcorr2 = _conv(corr_layers[0], corr_layers[1], 3)
        self.convflow1 = _conv(2, flow_layers[0], 7)
        self.convflow2 = _conv(flow_layers[0], flow_layers[1], 3)
        self.conv = _conv(corr_layers[-1] + flow_layers[-1], out_channels - 2, 3)
        self.out_channels = out_channels

    def forward(self, flow, corr_features):
        corr = self.convcorr2(self.convcorr1(corr_features))
        found = self.conv(torch.cat([corr, self.convflow2(self.convflow1(flow))], 1))
        return torch.cat([found, flow], 1)


class ConvGRU(nn.Module):
    """A recurrent cell of convolutions. Shape: h: (N, hidden_size, H, W), x → as h."""

    def __init__(self, *, input_size, hidden_size, kernel_size, padding):
        super().__init__()
        for gate in "zrq":
            conv = nn.Conv2d(hidden_size + input_size, hidden_size, kernel_size, padding=padding)
            self.add_module(f"conv{gate}", conv)

    def forward(self, h, x):
        both = torch.cat([h, x], 1)
        z, r = self.convz(both).sigmoid(), self.convr(both).sigmoid()
        q = self.convq(torch.cat([r * h, x], 1)).tanh()
        return (1 - z) * h + z * q


class RecurrentBlock(nn.Module):
    """One ``ConvGRU``, or two, one after the other. Shape: as theirs."""

    def __init__(
        self, *, input_size, hidden_size, kernel_size=((1, 5), (5, 1)), padding=((0, 2), (2, 0))
    ):
        super().__init__()
        if len(kernel_size) != len(padding) or len(kernel_size) not in (1, 2):
            raise ValueError("RecurrentBlock: needs 1 or 2 kernels, and as many paddings")
        for i, (kernel, around) in enumerate(zip(kernel_size, padding, strict=True), 1):
            cell = ConvGRU(
                input_size=input_size, hidden_size=hidden_size, kernel_size=kernel, padding=around
            )
            self.add_module(f"convgru{i}", cell)
        self.hidden_size = hidden_size

    def forward(self, h, x):
        for cell in self.children():
            h = cell(h, x)
        return h


class FlowHead(nn.Module):
    """How the flow changes. Shape: x: (N, in_channels, H, W) → (N, 2, H, W)."""

    def __init__(self, *, in_channels, hidden_size):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_size, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden_size, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.conv2(self.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    """One step: the next hidden state, and how the flow changes."""

    def __init__(self, *, motion_encoder, recurrent_block, flow_head):
        super().__init__()
        self.motion_encoder = motion_encoder
        self.recurrent_block = recurrent_block
        self.flow_head = flow_head
        self.hidden_state_size = recurrent_block.hidden_size

    def forward(self, hidden_state, context, corr_features, flow):
        x = torch.cat([context, self.motion_encoder(flow, corr_features)], 1)
        hidden_state = self.recurrent_block(hidden_state, x)
        return hidden_state, self.flow_head(hidden_state)


class MaskPredictor(nn.Module):
    """The shares of 9 places in each of 8×8 finer ones. Shape: x: (N, C, H, W) → (N, 576, H, W)."""

    def __init__(self, *, in_channels, hidden_size, multiplier=0.25):
        super().__init__()
        self.convrelu = _conv(in_channels, hidden_size, 3)
        self.conv = nn.Conv2d(hidden_size, 8 * 8 * 9, 1)
        self.multiplier = multiplier  # as in the paper, so that gradients are of the same size

    def forward(self, x):
        return self.multiplier * self.conv(self.convrelu(x))


class RAFT(nn.Module):
    """Finds the flow from one image to the next, a vector for each pixel.

    Shape: image1, image2: (N, 3, H, W), H and W multiples of 8 → a list of (N, 2, H, W), with the
    flow after each of ``num_flow_updates`` steps, by default 12.

    Args:
        feature_encoder: Module that gives the maps to be compared.
        context_encoder: Module that gives the first hidden state and the context.
        corr_block: Compares the maps: a ``CorrBlock``.
        update_block: Module that makes a step.
        mask_predictor: Module that gives the shares for a finer flow. Default: None, which resizes
            the flow.

    Raises:
        ValueError: the images differ in shape, or their sizes are no multiples of 8.

    Source: Teed and Deng 2020, https://arxiv.org/abs/2003.12039

    >>> from rushlight.vision.models.optical_flow import raft_small
    >>> raft_small().update_block.hidden_state_size
    96
    """

    def __init__(
        self, *, feature_encoder, context_encoder, corr_block, update_block, mask_predictor=None
    ):
        super().__init__()
        self.feature_encoder = feature_encoder
        self.context_encoder = context_encoder
        self.corr_block = corr_block
        self.update_block = update_block
        self.mask_predictor = mask_predictor

    def forward(self, image1, image2, num_flow_updates=12):
        n, _, height, width = image1.shape
        if image2.shape[-2:] != (height, width):
            raise ValueError("input images should have the same shape")
        if height % 8 or width % 8:
            raise ValueError(
                f"input image H and W should be divisible by 8, instead got {height} (h) and "
                f"{width} (w)"
            )
        first, second = self.feature_encoder(torch.cat([image1, image2])).chunk(2)
        if first.shape[-2:] != (height // 8, width // 8):
            raise ValueError("The feature encoder should downsample H and W by 8")
        self.corr_block.build_pyramid(first, second)
        context = self.context_encoder(image1)
        size = self.update_block.hidden_state_size
        if context.shape[1] <= size:
            raise ValueError(
                f"The context encoder outputs {context.shape[1]} channels, but it should have more "
                f"than {size}, the size of the hidden state"
            )
        hidden, context = context[:, :size].tanh(), F.relu(context[:, size:])
        start = grid_of(n, height // 8, width // 8, first.device, first.dtype)
        ends, found = start, []
        for _ in range(num_flow_updates):
            ends = ends.detach()  # the gradient goes through the hidden state only
            corr = self.corr_block.index_pyramid(ends)
            hidden, change = self.update_block(hidden, context, corr, ends - start)
            ends = ends + change
            mask = None if self.mask_predictor is None else self.mask_predictor(hidden)
            found.append(upsampled(ends - start, mask))
        return found


def _raft(block, layers, context, radius, motion, recurrent, hidden, masked, options):
    """A model of these layers; ``context`` and the others have the last channels and a norm."""
    corr = options.pop("corr_block", None) or CorrBlock(num_levels=4, radius=radius)
    parts: dict = {
        "feature_encoder": FeatureEncoder(
            block=block, layers=layers, norm_layer=nn.InstanceNorm2d
        ),
        "context_encoder": FeatureEncoder(
            block=block, layers=(*layers[:4], context[0]), norm_layer=context[1]
        ),
    }  # fmt: skip
    encoder = MotionEncoder(in_channels_corr=corr.out_channels, **motion)
    size = recurrent["hidden_size"]
    cells = RecurrentBlock(input_size=encoder.out_channels + context[0] - size, **recurrent)
    head = FlowHead(in_channels=size, hidden_size=hidden)
    update = UpdateBlock(motion_encoder=encoder, recurrent_block=cells, flow_head=head)
    mask = MaskPredictor(in_channels=size, hidden_size=256) if masked else None
    parts.update(corr_block=corr, update_block=update, mask_predictor=mask)
    return RAFT(**{**parts, **options})


@builder(Raft_Large_Weights, pretrained="C_T_SKHT_V2")
def raft_large(**options):
    """Build a ``RAFT`` as the paper describes it.

    >>> from rushlight.vision.models.optical_flow import raft_large
    >>> raft_large.weights.DEFAULT.meta["num_params"]
    5257536
    """
    motion = {"corr_layers": (256, 192), "flow_layers": (128, 64), "out_channels": 128}
    recurrent = {"hidden_size": 128}
    layers, context = (64, 64, 96, 128, 256), (256, nn.BatchNorm2d)
    return _raft(ResidualBlock, layers, context, 4, motion, recurrent, 256, True, options)


@builder(Raft_Small_Weights, pretrained="C_T_V2")
def raft_small(**options):
    """Build a small ``RAFT``, which resizes the flow.

    >>> from rushlight.vision.models.optical_flow import raft_small
    >>> raft_small.weights.DEFAULT.meta["num_params"]
    990162
    """
    motion = {"corr_layers": (96,), "flow_layers": (64, 32), "out_channels": 82}
    recurrent = {"hidden_size": 96, "kernel_size": (3,), "padding": (1,)}
    layers, context = (32, 32, 64, 96, 128), (160, None)
    return _raft(BottleneckBlock, layers, context, 3, motion, recurrent, 128, False, options)
