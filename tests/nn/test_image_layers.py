"""Layers of images and volumes: construction, repr, state, forward and gradients, as PyTorch's."""

import pytest

from tests.nn.test_layers import build, public

#: name → (layer, shape of the input)
LAYERS = {
    "Conv3d": ("nn.Conv3d(4, 6, 3)", (2, 4, 5, 4, 3)),
    "Conv3d all": ("nn.Conv3d(4, 6, (3, 2, 1), (2, 1, 1), (1, 0, 2), 1, 2, False)", (2, 4, 5, 4, 3)),
    "Conv3d same": ("nn.Conv3d(4, 2, 3, padding='same', padding_mode='circular')", (1, 4, 5, 4, 3)),
    "ConvTranspose1d": ("nn.ConvTranspose1d(4, 6, 3)", (2, 4, 5)),
    "ConvTranspose2d": ("nn.ConvTranspose2d(4, 6, 3, 2, 1, 1)", (2, 4, 5, 4)),
    "ConvTranspose2d all": ("nn.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 0), 2, False, (2, 1))", (2, 4, 5, 4)),
    "ConvTranspose3d": ("nn.ConvTranspose3d(4, 6, 2, 2, dtype=torch.float64)", (4, 3, 2, 3)),
    "MaxPool3d": ("nn.MaxPool3d(2, 1, ceil_mode=True)", (1, 2, 4, 5, 3)),
    "MaxPool3d indices": ("nn.MaxPool3d((1, 2, 2), return_indices=True)", (1, 2, 4, 5, 3)),
    "AvgPool3d": ("nn.AvgPool3d(2, padding=1, count_include_pad=False)", (1, 2, 4, 5, 3)),
    "AdaptiveAvgPool1d": ("nn.AdaptiveAvgPool1d(3)", (2, 3, 7)),
    "AdaptiveAvgPool3d": ("nn.AdaptiveAvgPool3d((2, None, 2))", (1, 2, 4, 5, 3)),
    "AdaptiveMaxPool1d": ("nn.AdaptiveMaxPool1d(3)", (2, 3, 7)),
    "AdaptiveMaxPool2d": ("nn.AdaptiveMaxPool2d((2, None), return_indices=True)", (2, 3, 7, 4)),
    "AdaptiveMaxPool3d": ("nn.AdaptiveMaxPool3d(2)", (1, 2, 4, 5, 3)),
    "FractionalMaxPool2d": ("nn.FractionalMaxPool2d(2, output_ratio=(0.5, 0.6))", (2, 3, 9, 8)),
    "FractionalMaxPool2d samples": ("nn.FractionalMaxPool2d(2, 4, _random_samples=torch.rand(2, 3, 2))", (2, 3, 9, 8)),
    "FractionalMaxPool3d": ("nn.FractionalMaxPool3d((2, 1, 2), (3, 4, 5))", (2, 5, 6, 7)),
    "LPPool1d": ("nn.LPPool1d(2, 3)", (2, 3, 7)),
    "LPPool2d": ("nn.LPPool2d(3, (2, 3), stride=(2, 1))", (2, 3, 6, 5)),
    "LPPool3d": ("nn.LPPool3d(1, 2, ceil_mode=True)", (2, 5, 4, 3)),
    "InstanceNorm1d": ("nn.InstanceNorm1d(3)", (2, 3, 5)),
    "InstanceNorm1d wrong": ("nn.InstanceNorm1d(7)", (3, 5)),
    "InstanceNorm2d": ("nn.InstanceNorm2d(3, 1e-3, affine=True, bias=False)", (2, 3, 4, 5)),
    "InstanceNorm2d tracked": ("nn.InstanceNorm2d(3, momentum=0.3, track_running_stats=True)", (2, 3, 4, 5)),
    "InstanceNorm3d": ("nn.InstanceNorm3d(3, affine=True, track_running_stats=True)", (3, 2, 2, 2)),
    "ConstantPad1d": ("nn.ConstantPad1d(1, 3.5)", (2, 3, 4)),
    "ConstantPad2d": ("nn.ConstantPad2d((1, -1, 0, 2), -1)", (2, 3, 4, 5)),
    "ConstantPad3d": ("nn.ConstantPad3d([1, 0, 1, 2, 0, 3], 2.0)", (2, 3, 4, 5)),
    "ZeroPad1d": ("nn.ZeroPad1d((1, 2))", (2, 3, 4)),
    "ZeroPad2d": ("nn.ZeroPad2d(1)", (2, 3, 4)),
    "ZeroPad3d": ("nn.ZeroPad3d(2)", (2, 3, 4, 5)),
    "Upsample": ("nn.Upsample(scale_factor=2)", (2, 3, 4)),
    "Upsample size": ("nn.Upsample((3, 7), mode='bicubic', align_corners=True)", (2, 3, 4, 5)),
    "Upsample factors": ("nn.Upsample(scale_factor=(1.5, 2), mode='bilinear', recompute_scale_factor=True)", (2, 3, 4, 5)),
    "UpsamplingNearest2d": ("nn.UpsamplingNearest2d(size=3)", (2, 3, 4, 5)),
    "UpsamplingBilinear2d": ("nn.UpsamplingBilinear2d(scale_factor=2)", (2, 3, 4, 5)),
    **{
        f"{kind}Pad{n}d": (f"nn.{kind}Pad{n}d({(2, 1, 1, 0, 1, 2)[:2 * n] if n > 1 else 2})", (2, 3, 3, 4, 4)[:n + 2])
        for kind in ("Circular", "Reflection", "Replication") for n in (1, 2, 3)
    },
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_pytorchs(parity, name):
    expression, shape = LAYERS[name]

    def script(torch):
        layer = build(torch, expression)
        made = [
            repr(layer),
            public(layer),
            layer.state_dict(),
            {k: str(v) for k, v in layer.state_dict()._metadata.items()},
        ]
        parameter = next(layer.parameters(), None)
        x = torch.randn(shape, dtype=torch.float32 if parameter is None else parameter.dtype)
        x.requires_grad_()
        outs = layer(x)
        out = outs[0] if isinstance(outs, tuple) else outs
        (out * torch.linspace(0, 1, out.numel()).view(out.shape)).sum().backward()
        seen = [outs, x.grad, [p.grad for p in layer.parameters()], layer.state_dict()]
        with torch.no_grad():
            return [*made, *seen, layer.eval()(x.detach().clone())]

    parity(script, rtol=1e-4, atol=2e-5)


SCRIPTS = {
    "output_size": "nn.ConvTranspose2d(2, 3, 3, 2, 1)(torch.ones(1, 2, 4, 5), output_size=[7, 10])",
    "output_size with channels": "nn.ConvTranspose2d(2, 3, 3, 2, 1)(torch.ones(1, 2, 4, 5), output_size=[1, 3, 8, 9])",
    "output_size too large": "nn.ConvTranspose2d(2, 3, 3, 2, 1)(torch.ones(1, 2, 4, 5), output_size=[9, 10])",
    "output_size of 3": "nn.ConvTranspose2d(2, 3, 3, 2, 1)(torch.ones(1, 2, 4, 5), output_size=[9, 10, 1])",
    "padding_mode": "nn.ConvTranspose2d(2, 3, 3, padding_mode='circular')",
    "transposed groups": "nn.ConvTranspose1d(3, 4, 3, groups=2)",
    "unpool": "nn.MaxUnpool2d(2, 2)(*nn.MaxPool2d(2, 2, return_indices=True)(torch.arange(25.).view(1, 5, 5)), output_size=(1, 5, 5))",
    "unpool repr": "[repr(nn.MaxUnpool1d(2, 3, 1)), public(nn.MaxUnpool2d(3)), repr(nn.MaxUnpool3d((1, 2, 3)))]",
    "unpool size": "nn.MaxUnpool2d(2)(*nn.MaxPool2d(2, return_indices=True)(torch.ones(1, 4, 4)), output_size=(9, 9))",
    "fractional none": "nn.FractionalMaxPool2d(2)",
    "fractional both": "nn.FractionalMaxPool3d(2, 3, 0.5)",
    "fractional ratio": "nn.FractionalMaxPool2d(2, output_ratio=1.5)",
    "instance dims": "nn.InstanceNorm2d(3)(torch.ones(2, 3))",
    "instance channels": "nn.InstanceNorm2d(3, affine=True)(torch.ones(2, 4, 5, 5))",
    "reflection size": "nn.ReflectionPad1d(4)(torch.ones(1, 3))",
    "instance old state": "nn.InstanceNorm1d(2).load_state_dict({'running_mean': torch.ones(2)})",
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_does_as_under_pytorch(parity, name):
    def script(torch):
        torch.manual_seed(3)
        return eval(SCRIPTS[name], {"nn": torch.nn, "torch": torch, "public": public})

    parity(script, rtol=1e-5, atol=1e-6)
