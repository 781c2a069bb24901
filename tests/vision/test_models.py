"""Models of images: state, repr, initial weights, results and gradients are torchvision's."""

import warnings

import numpy as np
import pytest

import rushlight
from rushlight.vision import models
from tests.golden import vision as golden

# Small members of the families, made from a models module.
SHRUNK = {
    "shrunk resnet": lambda m: m.ResNet(
        m.resnet.Bottleneck, [1, 2, 1, 1], num_classes=7, groups=2, width_per_group=16,
        replace_stride_with_dilation=[False, True, False], zero_init_residual=True,
    ),
    "shrunk densenet": lambda m: m.DenseNet(8, (2, 3), 16, drop_rate=0.1, num_classes=7),
    "shrunk mobilenet 2": lambda m: m.mobilenet_v2(width_mult=0.25, num_classes=7),
    "shrunk mobilenet 3": lambda m: m.mobilenet_v3_small(
        width_mult=0.3, reduced_tail=True, dilated=True, num_classes=7
    ),
    "shrunk efficientnet": lambda m: m.EfficientNet(
        [
            m.efficientnet.FusedMBConvConfig(2, 3, 2, 8, 16, 2),
            m.efficientnet.MBConvConfig(4, 5, 1, 16, 24, 2),
        ],
        0.2, num_classes=7, last_channel=40,
    ),
    "shrunk convnext": lambda m: m.ConvNeXt(
        [m.convnext.CNBlockConfig(8, 16, 1), m.convnext.CNBlockConfig(16, None, 2)], 0.3, 0.5,
        num_classes=7,
    ),
    "shrunk shufflenet": lambda m: m.ShuffleNetV2([2, 1, 1], [8, 16, 16, 24, 32], num_classes=7),
    "shrunk vit": lambda m: m.VisionTransformer(
        32, 8, 2, 2, 16, 32, num_classes=7, representation_size=12,
        conv_stem_configs=[m.vision_transformer.ConvStemConfig(6, 3, 2)] * 3,
    ),
    "shrunk mnasnet": lambda m: m.MNASNet(0.1, num_classes=7),
    "shrunk regnet": lambda m: m.RegNet(
        m.regnet.BlockParams.from_init_params(4, 8, 9.0, 2.1, 8, se_ratio=0.25), num_classes=7
    ),
    "shrunk swin": lambda m: m.SwinTransformer(
        [4, 4], 8, [1, 2], [2, 4], [3, 2], num_classes=7, stochastic_depth_prob=0.5
    ),
    "shrunk swin 2": lambda m: m.SwinTransformer(
        [4, 4], 8, [2, 1], [2, 4], [4, 4], num_classes=7, attention_dropout=0.1,
        block=m.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=m.swin_transformer.PatchMergingV2,
    ),
    "shrunk maxvit": lambda m: m.MaxVit((32, 32), 8, 2, [8, 16], [1, 2], 4, 0.4, num_classes=7),
}  # fmt: skip


def _blocks(m):
    block = m.video.mvit.MSBlockConfig
    return [block(2, 8, 16, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 2, 2]),
            block(2, 16, 16, [], [3, 3, 3], [], [1, 4, 4])]  # fmt: skip


# Small models of videos of 4 frames of 32×32.
VIDEOS = {
    "resnet": lambda m: m.video.VideoResNet(
        m.video.resnet.BasicBlock,
        [m.video.resnet.Conv3DSimple, m.video.resnet.Conv2Plus1D,
         *[m.video.resnet.Conv3DNoTemporal] * 2],
        [1, 1, 1, 1], m.video.resnet.R2Plus1dStem, num_classes=7,
    ),
    "swin3d": lambda m: m.video.SwinTransformer3d(
        [2, 4, 4], 8, [1, 2], [2, 4], [4, 3, 3], num_classes=7, stochastic_depth_prob=0.5
    ),
    "mvit 1": lambda m: m.video.MViT(
        (32, 32), 4, _blocks(m), False, True, False, False, num_classes=7
    ),
    "mvit 2": lambda m: m.video.MViT(
        (32, 32), 4, _blocks(m), True, False, True, True, num_classes=7, attention_dropout=0.1
    ),
}  # fmt: skip
QUICK = ["squeezenet1_1", *SHRUNK, *VIDEOS]
LONG = [
    "alexnet", "vgg11_bn", "squeezenet1_0", "densenet121", "mobilenet_v2", "mobilenet_v3_large",
    "efficientnet_b0", "efficientnet_b5", "efficientnet_v2_s", "googlenet", "inception_v3",
    "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "vit_b_32",
    "convnext_tiny", "shufflenet_v2_x1_0", "mnasnet1_3", "regnet_x_400mf", "regnet_y_400mf", "swin_t",
    "swin_v2_t",
]  # fmt: skip


def options(name):
    """Few classes and small images, so that each model is as quick as it can be."""
    found = {"num_classes": 7}
    if name in ("googlenet", "inception_v3"):
        found["init_weights"] = True
    if name.startswith("vit"):
        found["image_size"] = 64
    return found


SIZES = {"alexnet": 64, "inception_v3": 75, "shrunk vit": 32, "shrunk maxvit": 32}


def size(name):
    """The sizes of an image or video, without its channels."""
    if name in VIDEOS:
        return 4, 32, 32
    n = 64 if name.startswith("vit") else SIZES.get(name, 33)
    return n, n


def build(library, name):
    """The model ``name`` of ``rushlight.vision.models`` or ``torchvision.models``."""
    for small in (SHRUNK, VIDEOS):
        if name in small:
            return small[name](library)
    return library.get_model(name, **options(name))


def pair(name, seed=3):
    """(ours, theirs) from the same seed."""
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(seed)
    theirs = build(torchvision.models, name)
    rushlight.manual_seed(seed)
    return build(models, name), theirs


def give(ours, theirs):
    """Copy our state into torchvision's model."""
    import torch

    state = theirs.state_dict()
    for key, value in ours.state_dict().items():
        state[key].copy_(torch.from_numpy(value.numpy()))


def check(name):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(name)
    assert repr(ours) == repr(theirs)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert tuple(state[key].shape) == tuple(value.shape), key
        np.testing.assert_allclose(state[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
    last = list(ours.parameters())[-2:]  # a transformer's classifier begins as zeros
    for parameter, other in zip(last, list(theirs.parameters())[-2:], strict=True):
        rushlight.nn.init.normal_(parameter, std=0.1)
        with torch.no_grad():
            other.copy_(torch.from_numpy(parameter.detach().numpy()))
    x = np.random.default_rng(0).normal(size=(2, 3, *size(name))).astype(np.float32)
    with torch.no_grad(), rushlight.no_grad():
        found = ours.eval()(rushlight.from_numpy(x)).numpy()
        wanted = theirs.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * abs(wanted).max())


#: Sums of the results for a seed, as torchvision has them.
SUMS = {
    "shrunk regnet": 0.00488049,
    "shrunk swin": 0.00654288,
    "shrunk swin 2": 0.0130362,
    "shrunk maxvit": 0.00010565,
    "resnet": 0.0111538,
    "swin3d": 0.0047924,
    "mvit 1": 0.170161,
    "mvit 2": 0.0410711,
}


@pytest.mark.parametrize("name", SUMS)
def test_results_are_as_recorded(name):
    rushlight.manual_seed(0)
    model = build(models, name).eval()
    x = rushlight.randn(2, 3, *size(name))
    with rushlight.no_grad():
        assert model(x).square().sum().item() == pytest.approx(SUMS[name], rel=1e-3)


@pytest.mark.parity
@pytest.mark.parametrize("name", QUICK)
def test_as_torchvision(name):
    check(name)


@pytest.mark.parity
@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_as_torchvision_long(name):
    check(name)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.slow if name.startswith(("shrunk mob", "shrunk res")) else ()
        )
        for name in (*SHRUNK, *VIDEOS)
    ],
)
def test_a_training_step_is_torchvisions(name):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(name)
    give(ours, theirs)
    ours.double(), theirs.double()  # float32 would lose much in normalising so few values
    shape = (4, 32, 32) if name in VIDEOS else (32, 32)
    x = np.random.default_rng(1).normal(size=(4, 3, *shape))
    losses, gradients = [], []
    for library, model in ((rushlight, ours), (torch, theirs)):
        library.manual_seed(0)  # for dropout and stochastic depth
        loss = model.train()(library.from_numpy(x.copy())).square().sum()
        loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad.numpy() for p in model.parameters()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    largest = max(abs(wanted).max() for wanted in gradients[1])
    for found, wanted in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7 * largest)


@pytest.mark.parity
@pytest.mark.slow
@pytest.mark.parametrize("name, size", [("googlenet", 96), ("inception_v3", 299)])
def test_auxiliary_classifiers(name, size):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(name)
    give(ours, theirs)
    ours.double(), theirs.double()
    x = np.random.default_rng(1).normal(size=(2, 3, size, size))
    rushlight.manual_seed(0)
    found = ours(rushlight.from_numpy(x))
    torch.manual_seed(0)
    wanted = theirs(torch.from_numpy(x))
    assert found._fields == wanted._fields
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-8)


@pytest.mark.slow
def test_the_flow_between_two_images():
    rushlight.manual_seed(0)
    small = models.optical_flow.raft_small()
    first, second = rushlight.randn(2, 1, 3, 128, 128)
    flows = small(first, second, num_flow_updates=2)
    assert [flow.square().mean().item() for flow in flows] == pytest.approx(
        [0.481534, 1.274724], rel=1e-3
    )
    flows[-1].square().mean().backward()
    encoders = small.feature_encoder, small.context_encoder
    found = [encoder.conv.weight.grad.square().sum().item() for encoder in encoders]
    assert found == pytest.approx([0.0391183, 40.6235], rel=1e-3)
    rushlight.manual_seed(0)
    large = models.optical_flow.raft_large().eval()
    with rushlight.no_grad():
        (flow,) = large(first, second, num_flow_updates=1)
    assert flow.square().mean().item() == pytest.approx(0.0529955, rel=1e-3)
    with pytest.raises(ValueError, match="divisible by 8"):
        small(first[..., :100], second[..., :100])
    with pytest.raises(ValueError, match="too small"):
        small(first[..., :64], second[..., :64])


@pytest.fixture
def undrawn(monkeypatch):
    """Weights are left as memory had them: a large model is built at once."""
    for owner, name in (
        (rushlight.Tensor, "uniform_"), (rushlight.Tensor, "normal_"),
        (rushlight.nn.init, "trunc_normal_"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, lambda tensor, *args, **options: tensor)


@pytest.mark.parametrize("name", models.list_models())
def test_states_are_as_recorded(name, undrawn):
    model = models.get_model(name, **golden.options(name))
    assert golden.described(model) == golden.load()[name]


def test_every_recorded_model_exists():
    assert sorted(golden.load()) == models.list_models()


# Weights ------------------------------------------------------------------------------------


@pytest.mark.parity
def test_weights_are_torchvisions():
    torchvision = pytest.importorskip("torchvision")
    for name in models.list_models():
        ours = models.get_model_weights(name)
        theirs = torchvision.models.get_model_weights(name)
        assert list(ours.__members__) == list(theirs.__members__)
        assert repr(ours.DEFAULT) == repr(theirs.DEFAULT)
        for member in ours:
            other = theirs[member.name]
            meta = {k: v for k, v in other.meta.items() if k != "_docs"}
            assert member.url == other.url
            assert repr(sorted(member.meta.items())) == repr(sorted(meta.items()))  # there are nans
            assert repr(member.transforms()) == repr(other.transforms())


def test_weights_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("rushlight.hub._dir", str(tmp_path))
    with pytest.raises(
        RuntimeError, match=r"(?s)fetches nothing.*put it at.*resnet18-f37072fd\.pth"
    ):
        models.resnet18(weights="DEFAULT")
    with (
        pytest.warns(UserWarning, match=r"weights=SqueezeNet1_1_Weights\.IMAGENET1K_V1"),
        pytest.raises(RuntimeError, match="fetches nothing"),
    ):
        models.squeezenet1_1(pretrained=True)
    with pytest.warns(UserWarning, match="pretrained="):
        assert models.squeezenet1_1(pretrained=False, num_classes=3).num_classes == 3
    with pytest.warns(UserWarning, match="keyword"):
        assert models.squeezenet1_1(None, num_classes=3).num_classes == 3
    with pytest.raises(TypeError, match="ResNet18_Weights"):
        models.resnet18(weights=models.ResNet50_Weights.DEFAULT)
    with pytest.raises(KeyError, match="IMAGENET1K_V1"):
        models.resnet18(weights="IMAGENET")


def test_weights_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr("rushlight.hub._dir", str(tmp_path))
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    model = models.squeezenet1_1()
    name = models.SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    rushlight.save(model.state_dict(), folder / name)
    state = models.SqueezeNet1_1_Weights.DEFAULT.get_state_dict()
    assert list(state) == list(model.state_dict())
    loaded = models.squeezenet1_1(weights="SqueezeNet1_1_Weights.IMAGENET1K_V1")
    assert loaded.features[0].weight.equal(model.features[0].weight)
    with pytest.raises(ValueError, match="num_classes=1000"):
        models.squeezenet1_1(weights="DEFAULT", num_classes=10)


def test_what_trained_weights_ask_for(tmp_path, monkeypatch):
    monkeypatch.setattr("rushlight.hub._dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    name = models.GoogLeNet_Weights.DEFAULT.url.rpartition("/")[2]
    rushlight.save(
        models.GoogLeNet(init_weights=False).state_dict(), tmp_path / "checkpoints" / name
    )
    model = models.googlenet(weights="DEFAULT")
    assert model.transform_input and model.aux1 is None and not model.aux_logits
    assert models.googlenet(weights="DEFAULT", aux_logits=True).aux1 is not None


def test_old_names_in_checkpoints():
    model = models.DenseNet(4, (2,), 8, num_classes=3)
    state = model.state_dict()
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): v for key, v in state.items()
    }
    assert set(old) != set(state)
    model.load_state_dict(old)
    vit = models.VisionTransformer(16, 8, 1, 2, 8, 16)
    old = {k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v
           for k, v in vit.state_dict().items()}  # fmt: skip
    vit.load_state_dict(old)


def test_a_checkpoint_of_mnasnet_version_1():
    state = models.mnasnet0_5().state_dict()
    state._metadata[""]["version"] = 1
    first = models.mnasnet0_5()
    with pytest.warns(UserWarning, match="version 1"), pytest.raises(RuntimeError, match="size"):
        first.load_state_dict(state)  # its layers are of version 2
    assert first.state_dict()["layers.0.weight"].shape == (32, 3, 3, 3)
    second = models.mnasnet0_5()
    with pytest.warns(UserWarning, match="version 1"):
        second.load_state_dict(first.state_dict())
    assert second.layers[6].weight.equal(first.layers[6].weight)


def test_models_are_found_by_name():
    assert models.get_model_builder("RESNET18") is models.resnet18
    assert models.get_weight("ResNet18_Weights.DEFAULT") is models.ResNet18_Weights.IMAGENET1K_V1
    with pytest.raises(ValueError, match="no_such_net"):
        models.get_model("no_such_net")
    with pytest.raises(ValueError, match="Foo"):
        models.get_weight("Foo.DEFAULT")


def test_positions_for_another_size():
    state = models.VisionTransformer(32, 8, 1, 2, 8, 16, num_classes=3).state_dict()
    larger = models.VisionTransformer(64, 8, 1, 2, 8, 16, num_classes=5)
    found = models.vision_transformer.interpolate_embeddings(64, 8, state, reset_heads=True)
    missing = larger.load_state_dict(found, strict=False).missing_keys
    assert missing == ["heads.head.weight", "heads.head.bias"]


@pytest.mark.slow
def test_a_step_compiles():
    rushlight.manual_seed(0)
    model = models.resnet18(num_classes=4)
    # Batch norm of few numbers makes much of rounding errors: the last layers still have 16.
    x, y = rushlight.randn(4, 3, 64, 64), rushlight.tensor([0, 3, 1, 2])

    def loss(x, y):
        return rushlight.nn.functional.cross_entropy(model(x), y)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rushlight.compile(loss, fullgraph=True)(x, y)
    assert found.item() == pytest.approx(loss(x, y).item(), rel=1e-3)


@pytest.mark.parity
def test_results_of_layers():
    torchvision = pytest.importorskip("torchvision")
    from torchvision.models._utils import IntermediateLayerGetter

    theirs = IntermediateLayerGetter(torchvision.models.resnet18(), {"layer1": 0, "layer2": "b"})
    ours = models.blocks.IntermediateLayerGetter(models.resnet18(), {"layer1": 0, "layer2": "b"})
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    with pytest.raises(ValueError, match="layer9"):
        models.blocks.IntermediateLayerGetter(models.resnet18(), {"layer9": "c"})


def test_features_from_inside_a_model():
    from rushlight.vision.models.feature_extraction import (
        create_feature_extractor,
        get_graph_node_names,
    )

    model = rushlight.nn.Sequential(
        rushlight.nn.Sequential(rushlight.nn.Conv2d(3, 4, 3), rushlight.nn.ReLU()),
        rushlight.nn.Dropout(),
    ).eval()
    assert get_graph_node_names(model)[1] == ["input", "0.0", "0.1", "1"]
    found = create_feature_extractor(model, {"0": "maps", "0.0": "raw"})
    assert found.get_submodule("0.0") is model[0][0]
    out = found(rushlight.ones(1, 3, 5, 5))
    assert list(out) == ["raw", "maps"] and rushlight.equal(out["raw"].relu(), out["maps"])
    assert list(found.state_dict()) == list(model.state_dict())
    assert found.train().training and list(found(rushlight.ones(1, 3, 5, 5))) == list(out)
    with pytest.raises(ValueError, match="not present"):
        create_feature_extractor(model, ["2"])


def test_a_vision_transformer_is_traced():
    from rushlight.vision.models.feature_extraction import create_feature_extractor

    model = models.VisionTransformer(16, 8, 2, 2, 8, 16, num_classes=3).eval()
    x = rushlight.randn(2, 3, 16, 16)
    layer = "encoder.layers.encoder_layer_0"
    found = create_feature_extractor(model, [layer, "heads"])(x)
    assert found[layer].shape == (2, 5, 8) and rushlight.equal(found["heads"], model(x))
    for network in (model, rushlight.fx.symbolic_trace(model)):
        with pytest.raises(AssertionError, match="images must be of 16×16"):
            network(rushlight.randn(2, 3, 16, 8))


@pytest.mark.parametrize("name", ["shrunk swin", "shrunk swin 2", "shrunk maxvit"])
def test_windows_in_a_graph(name):
    model = SHRUNK[name](models).eval()
    x = rushlight.randn(1, 3, 32, 32)
    traced = rushlight.fx.symbolic_trace(model)
    assert rushlight.equal(traced(x), model(x))
    if "swin" in name:  # the graph holds for images of other sizes
        x = rushlight.randn(1, 3, 40, 56)
        assert rushlight.equal(traced(x), model(x))
