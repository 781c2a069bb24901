"""What layers do besides: sizes that are asked for, offsets, conversions; and what they refuse, as PyTorch."""

import pytest

from tests.nn.test_layers import public

SCRIPTS = {
    "bag that ends": "torch.nn.functional.embedding_bag(torch.tensor([0, 1, 2]), torch.eye(3), torch.tensor([0, 2]), mode='sum', include_last_offset=True)",
    "bag offsets": "torch.nn.functional.embedding_bag(torch.tensor([0, 1, 2]), torch.eye(3), torch.tensor([1, 2]))",
    "bag offsets too large": "torch.nn.functional.embedding_bag(torch.tensor([0, 1, 2]), torch.eye(3), torch.tensor([0, 4]))",
    "bag index": "nn.EmbeddingBag(3, 2)(torch.tensor([[0, 3]]))",
    "bag mode": "nn.EmbeddingBag(3, 2, mode='most')(torch.tensor([[0, 1]]))",
    "bag weights": "nn.EmbeddingBag(3, 2)(torch.tensor([[0, 1]]), None, torch.ones(1, 2))",
    "bag pretrained": "[nn.EmbeddingBag.from_pretrained(torch.eye(3), f).weight.requires_grad for f in (True, False)]",
    "grid dtype": "torch.nn.functional.grid_sample(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 2, 2).double())",
    "grid cubic volume": "torch.nn.functional.grid_sample(torch.ones(1, 2, 3, 3, 3), torch.ones(1, 2, 2, 2, 3), 'bicubic', align_corners=False)",
    "grid warns": "torch.nn.functional.grid_sample(torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 2, 2))",
    "grid mode": "torch.nn.functional.grid_sample(torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 2, 2), 'cubic')",
    "grid batch": "torch.nn.functional.grid_sample(torch.ones(1, 2, 3, 3), torch.zeros(2, 2, 2, 2))",
    "affine shape": "torch.nn.functional.affine_grid(torch.ones(1, 3, 3), (1, 1, 2, 2), False)",
    "affine batch": "torch.nn.functional.affine_grid(torch.ones(1, 2, 3), (2, 1, 2, 2), False)",
    "affine of one pixel": "torch.nn.functional.affine_grid(torch.ones(1, 2, 3), (1, 1, 2, 1), True)",
    "affine 1d": "torch.nn.functional.affine_grid(torch.ones(1, 2, 3), (1, 1, 2), False)",
    "shuffle channels": "torch.pixel_shuffle(torch.ones(3, 2, 2), 2)",
    "shuffle factor": "torch.pixel_shuffle(torch.ones(4, 2, 2), 0)",
    "unshuffle size": "torch.pixel_unshuffle(torch.ones(1, 3, 2), 2)",
    "channel groups": "torch.channel_shuffle(torch.ones(1, 4, 2), 3)",
    "unfold nothing": "torch.nn.functional.unfold(torch.ones(1, 1, 3, 3), 4)",
    "fold rows": "torch.nn.functional.fold(torch.ones(1, 3, 4), 3, 2)",
    "fold columns": "torch.nn.functional.fold(torch.ones(1, 4, 5), 3, 2)",
    "fold stride": "torch.nn.functional.fold(torch.ones(1, 4, 4), 3, 2, stride=0)",
    "bilinear sizes": "torch.bilinear(torch.ones(2, 3), torch.ones(2, 4), torch.ones(5, 4, 3))",
    "bilinear batches": "torch.bilinear(torch.ones(2, 3), torch.ones(1, 4), torch.ones(5, 3, 4))",
    "converted": "[repr(m) for m in [nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Sequential(nn.BatchNorm1d(3, affine=False).eval())))] for m in (m, m[0].training, m[2][0].training, m.state_dict().keys())]",
    "lrn dims": "nn.LocalResponseNorm(2)(torch.ones(2, 3))",
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
