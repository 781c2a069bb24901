"""What layers of images do besides: sizes that are asked for, and what they refuse, as PyTorch."""

import pytest

from tests.nn.test_layers import public

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
