"""Transforms: the draws, the results and the reprs are torchvision's for the same seed."""

import random

import numpy as np
import pytest

import rushlight
from rushlight.vision import transforms as T
from rushlight.vision.transforms import functional as F

Image = pytest.importorskip("PIL.Image")

SIZE = (20, 30)  # height, width
ANY = ("RGB", "L", "uint8", "float32", "batch")
PIL = ("RGB", "L")
TENSORS = ("uint8", "float32", "batch")
BYTES = ("RGB", "L", "uint8", "grey")
BILINEAR, BICUBIC, NEAREST = "BILINEAR", "BICUBIC", "NEAREST"

# Expression of T (transforms) and M (interpolation modes), kinds of image it is called with.
CALLS = [
    ("T.Compose([T.Resize(16), T.RandomCrop(12), T.RandomHorizontalFlip()])", ANY),
    ("T.ToTensor()", (*PIL, "array", "float array", "1", "I", "F", "RGBA")),
    ("T.PILToTensor()", (*PIL, "1", "I", "F", "RGBA")),
    ("T.ConvertImageDtype(torch.float32)", TENSORS),
    ("T.ConvertImageDtype(torch.uint8)", TENSORS),
    ("T.ConvertImageDtype(torch.int16)", TENSORS),
    ("T.ToPILImage()", ("uint8", "float32", "grey", "array", "float array")),
    ("T.ToPILImage('F')", ("float grey",)),
    ("T.ToPILImage('YCbCr')", ("uint8",)),
    ("T.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.4])", ("float32",)),
    ("T.Normalize((0.5,), (0.5,), inplace=True)", ("float32", "float grey")),
    ("T.Resize(16)", ANY),
    ("T.Resize((13, 40))", ANY),
    ("T.Resize(12, max_size=15)", ANY),
    ("T.Resize((9, 9), interpolation=M.NEAREST)", ANY),
    ("T.Resize((9, 9), interpolation=M.NEAREST_EXACT)", ANY),
    ("T.Resize((9, 9), interpolation=M.BICUBIC)", ANY),
    ("T.Resize((9, 9), interpolation=M.LANCZOS)", PIL),
    ("T.Resize((9, 9), interpolation=M.BOX)", PIL),
    ("T.Resize((9, 9), antialias=False)", TENSORS),
    ("T.Resize((9, 9), 3)", ANY),
    ("T.CenterCrop(11)", ANY),
    ("T.CenterCrop((25, 12))", ANY),
    ("T.CenterCrop([40])", ANY),
    ("T.Pad(2)", ANY),
    ("T.Pad((1, 2), fill=3)", ANY),
    ("T.Pad((1, 2, 3, 4), padding_mode='edge')", ANY),
    ("T.Pad((1, 2, 3, 4), padding_mode='reflect')", ANY),
    ("T.Pad((1, 2, 3, 4), padding_mode='symmetric')", ANY),
    ("T.Pad(2, fill=(1, 2, 3))", ("RGB",)),
    ("T.Pad((-1, 2, 3, -2), padding_mode='symmetric')", ANY),
    ("T.Lambda(lambda x: x)", ANY),
    ("T.RandomApply([T.CenterCrop(8)], p=0.5)", ANY),
    ("T.RandomChoice([T.CenterCrop(8), T.CenterCrop(9)], p=[0.4, 0.6])", ANY),
    ("T.RandomOrder([T.RandomCrop(11), T.Pad(2), T.CenterCrop(12)])", ANY),
    ("T.RandomCrop(15)", ANY),
    ("T.RandomCrop((18, 40), padding=(1, 0), pad_if_needed=True, fill=7)", ANY),
    ("T.RandomCrop(32, padding=4, pad_if_needed=True, padding_mode='reflect')", ANY),
    ("T.RandomHorizontalFlip()", ANY),
    ("T.RandomVerticalFlip(0.6)", ANY),
    ("T.RandomResizedCrop(14)", ANY),
    ("T.RandomResizedCrop((14, 9), scale=(0.5, 0.9), ratio=(0.5, 2.0), interpolation=M.BICUBIC)", ANY),
    ("T.RandomResizedCrop(8, scale=(4.0, 4.0))", ANY),
    ("T.FiveCrop(8)", ANY),
    ("T.TenCrop((8, 9), vertical_flip=True)", ANY),
    ("T.LinearTransformation(torch.eye(1800) * 2, torch.arange(1800) / 1800)", ("float32", "batch")),
    ("T.ColorJitter(0.4, 0.3, 0.2, 0.1)", ANY),
    ("T.ColorJitter(brightness=(0.5, 2), hue=(-0.5, 0.5))", ANY),
    ("T.RandomRotation(40)", ANY),
    ("T.RandomRotation((10, 80), M.BILINEAR, expand=True, fill=5)", ANY),
    ("T.RandomRotation(90, center=(3, 4), fill=None)", ANY),
    ("T.RandomRotation(90, fill=(1, 2, 3))", ("RGB", "uint8")),
    ("T.RandomAffine(30)", ANY),
    ("T.RandomAffine(30, (0.1, 0.2), (0.8, 1.2), 10, M.BILINEAR, 3)", ANY),
    ("T.RandomAffine(0, shear=(-5, 5, -9, 9), center=(3, 4))", ANY),
    ("T.RandomPerspective(0.4, 0.9)", ANY),
    ("T.RandomPerspective(0.6, 1.0, M.NEAREST, fill=9)", ANY),
    ("T.ElasticTransform(40.0, 2.0)", ("uint8", "float32", "RGB")),
    ("T.ElasticTransform([40.0, 30.0], [2.0, 3.0], M.NEAREST, fill=4)", ("uint8", "float32", "RGB")),
    ("T.Grayscale()", ANY),
    ("T.Grayscale(3)", ANY),
    ("T.RandomGrayscale(0.5)", ANY),
    ("T.GaussianBlur(5)", ANY),
    ("T.GaussianBlur((3, 7), (0.5, 1.5))", ANY),
    ("T.RandomErasing()", TENSORS),
    ("T.RandomErasing(1.0, value='random')", ("float32",)),
    ("T.RandomErasing(0.9, (0.1, 0.9), (0.5, 2.0), value=(1, 2, 3), inplace=True)", TENSORS),
    ("T.RandomInvert()", ANY),
    ("T.RandomPosterize(3)", BYTES),
    ("T.RandomSolarize(0.5)", ("float32",)),
    ("T.RandomSolarize(128)", BYTES),
    ("T.RandomAdjustSharpness(2.5)", ANY),
    ("T.RandomAdjustSharpness(0.2)", ANY),
    ("T.RandomAutocontrast()", ANY),
    ("T.RandomEqualize()", BYTES),
    ("T.AutoAugment()", BYTES),
    ("T.AutoAugment(T.AutoAugmentPolicy.CIFAR10, M.BILINEAR, fill=7)", BYTES),
    ("T.AutoAugment(T.AutoAugmentPolicy.SVHN)", BYTES),
    ("T.RandAugment()", BYTES),
    ("T.RandAugment(3, 20, interpolation=M.BILINEAR, fill=7)", BYTES),
    ("T.TrivialAugmentWide()", BYTES),
    ("T.AugMix()", BYTES),
    ("T.AugMix(severity=6, mixture_width=2, chain_depth=2, all_ops=False)", BYTES),
]  # fmt: skip

# The same of F (functional), with x the image.
FUNCTIONS = [
    ("F.get_dimensions(x), F.get_image_size(x), F.get_image_num_channels(x)", ANY),
    ("F.crop(x, -3, 5, 12, 60)", ANY),
    ("F.crop(x, 15, -5, 12, 10)", ANY),
    ("F.resized_crop(x, 2, 3, 10, 12, [7, 8])", ANY),
    ("F.adjust_brightness(x, 1.7)", ANY),
    ("F.adjust_contrast(x, 0.3)", ANY),
    ("F.adjust_contrast(x, 3)", ANY),
    ("F.adjust_saturation(x, 0.5)", ANY),
    ("F.adjust_saturation(x, 2.0)", ANY),
    ("F.adjust_hue(x, 0.25)", ANY),
    ("F.adjust_hue(x, -0.4)", ANY),
    ("F.adjust_gamma(x, 2.2)", ANY),
    ("F.adjust_gamma(x, 0.5, gain=1.2)", ANY),
    ("F.rotate(x, 90)", ANY),
    ("F.rotate(x, 33, expand=True)", ANY),
    ("F.rotate(x, -33.5, center=[0, 0], interpolation=M.BILINEAR)", ANY),
    ("F.affine(x, 20, [3, -4], 1.3, 7)", ANY),
    ("F.affine(x, -20.5, (3, -4), 0.7, [5.0, -8.0], M.BILINEAR, fill=[6.0])", ANY),
    ("F.perspective(x, [[0, 0], [29, 0], [29, 19], [0, 19]], [[3, 2], [25, 1], [28, 17], [2, 18]])", ANY),
    ("F.gaussian_blur(x, 3)", ANY),
    ("F.gaussian_blur(x, [5, 3], 1.2)", ANY),
    ("F.invert(x)", ANY),
    ("F.posterize(x, 2), F.posterize(x, 8)", BYTES),
    ("F.autocontrast(x)", ANY),
    ("F.equalize(x)", BYTES),
    ("F.to_grayscale(x, 3)", PIL),
    ("F.erase(x, 2, 3, 4, 5, torch.tensor(1))", TENSORS),
]  # fmt: skip

ERRORS = [
    "T.Resize(1.5)", "T.Resize((1, 2, 3))", "T.CenterCrop((1, 2, 3))", "T.Pad('a')", "T.Pad(1, fill='a')",
    "T.Pad(1, padding_mode='wrap')", "T.Pad((1, 2, 3))", "T.Lambda(3)", "T.RandomOrder(3)",
    "T.RandomChoice([], p=3)", "T.RandomCrop(50)(x)", "T.ColorJitter(-1)", "T.ColorJitter('a')", "T.ColorJitter(hue=0.7)",
    "T.RandomRotation(-1)", "T.RandomRotation((1, 2, 3))", "T.RandomAffine(3, (2, 0))",
    "T.RandomAffine(3, scale=(-1, 2))", "T.RandomAffine(3, center=3)", "T.RandomErasing(2)", "T.RandomErasing(value='a')",
    "T.RandomErasing(value=None)", "T.RandomErasing(1.0, value=(1, 2))(x)", "T.GaussianBlur(4)", "T.GaussianBlur(3, -1)",
    "T.GaussianBlur(3, (1, 2, 3))", "T.AutoAugment('imagenet')", "T.AugMix(severity=11)", "T.ElasticTransform(3)",
    "T.ElasticTransform([1.0])", "T.LinearTransformation(torch.ones(2, 3), torch.ones(2))", "T.RandomResizedCrop(3, scale=1)",
    "F.to_tensor('a')", "F.to_tensor(np.zeros(3))", "F.pil_to_tensor(x)", "F.to_pil_image('a')", "F.to_pil_image(torch.zeros(5, 2, 2))",
    "F.to_pil_image(torch.zeros(1, 1, 2, 2))", "F.to_pil_image(x, 'L')", "F.normalize(x, [0.5], [0.5])", "F.normalize(x / 1.0, [0.5], [0.0])",
    "F.normalize('a', 1, 1)", "F.resize(x, 3, 'bilinear')", "F.resize(x, (1, 2), max_size=3)", "F.resize(x, 3, max_size=3)", "F.hflip('a')",
    "F.five_crop(x, 90)", "F.adjust_hue(x, 0.7)", "F.adjust_gamma(x, -1)", "F.posterize(x, 9)", "F.solarize(x, 300)", "F.equalize(x / 1.0)",
    "F.rotate(x, 'a')", "F.affine(x, 0, 3, 1.0, 0)", "F.affine(x, 0, [3], 1.0, 0)", "F.affine(x, 0, [3, 3], -1.0, 0)", "F.gaussian_blur(x, 2)",
    "F.perspective(x, [[0, 0]], [[0, 0]])", "F.rotate(x, 3, M.BICUBIC)", "F.rotate(x, 3, fill=[1, 2])", "F.convert_image_dtype(x / 1.0, torch.int32)",
    "F.erase('a', 1, 1, 1, 1, 0)", "F.rgb_to_grayscale(x, 2)", "F.adjust_brightness(x, -1)", "F.adjust_brightness(torch.zeros(2, 3, 3), 1)",
]  # fmt: skip


def image(kind, library):
    """An image of this kind: smooth, with noise on it."""
    h, w = SIZE
    rng = np.random.default_rng(0)
    rows, columns, channels = np.ogrid[:h, :w, :3]
    pixels = (
        120 + 90 * np.sin(rows / 5 + channels) * np.cos(columns / 4) + rng.normal(0, 12, (h, w, 3))
    )
    pixels = pixels.clip(0, 255).astype(np.uint8)
    if kind in ("RGB", "L", "1", "I", "F", "RGBA"):
        return Image.fromarray(pixels).convert("L" if kind in ("I", "F") else kind).convert(kind)
    if kind == "array":
        return pixels
    if kind == "float array":
        return (pixels / 255).astype(np.float32)
    x = library.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    if kind == "batch":
        return library.stack([x, x.flip(-1)])
    if "grey" in kind:
        x = x[:1]
    return x / 255 if kind.startswith("float") else x


def plain(value):
    """``value`` without its library."""
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if isinstance(value, Image.Image):
        return value.mode, np.array(value)
    return value.numpy() if hasattr(value, "numpy") else value


def agree(ours, theirs, far=0.0):
    """Equal, but for rounding: floats to 1e-4, and a few bytes by one.

    ``far``: the share of bytes that may be further off, as thresholds follow a rounding.
    """
    assert type(ours) is type(theirs)
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            agree(a, b, far)
    elif not isinstance(theirs, np.ndarray):
        assert ours == theirs
    elif theirs.dtype.kind == "f":
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-4 * max(1, abs(theirs).max()))
    else:
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        off = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
        assert (off > 0).mean() <= 0.02 and (off > 1).mean() <= far


def run(expression, library, vision, kind, seeds):
    names = {
        "T": vision.transforms, "F": vision.transforms.functional, "np": np, "torch": library,
        "M": vision.transforms.InterpolationMode, "x": image(kind, library),
    }  # fmt: skip
    found = []
    for seed in seeds:
        library.manual_seed(seed)
        random.seed(seed)
        result = eval(expression, names)
        if callable(result):
            result = result(image(kind, library))
        found.append((plain(result), library.rand(1).item()))  # as many numbers were drawn
    return found


@pytest.fixture(scope="module")
def both():
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    return (rushlight, rushlight.vision), (torch, torchvision)


@pytest.mark.parity
@pytest.mark.parametrize(
    "expression, kinds", CALLS + FUNCTIONS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_as_torchvision(expression, kinds, both):
    seeds = range(3) if "T." in expression else [0]
    for kind in kinds:
        ours, theirs = (run(expression, *libraries, kind, seeds) for libraries in both)
        for (a, drawn), (b, other) in zip(ours, theirs, strict=True):
            assert drawn == other, kind
            try:
                agree(a, b, far=0.002 if "RandAugment(3" in expression else 0.0)
            except AssertionError as error:
                raise AssertionError(f"{expression} of {kind}: {error}") from error


@pytest.mark.parity
def test_reprs_and_defaults(both):
    import inspect

    for expression, _ in CALLS:
        shown = []
        for library, vision in both:
            names = {"T": vision.transforms, "M": vision.transforms.InterpolationMode}
            shown.append(repr(eval(expression, {**names, "torch": library})))
        assert shown[0] == shown[1] or "0x" in shown[0]
    theirs = both[1][1].transforms
    for module, other in ((T, theirs), (F, theirs.functional)):
        for name in module.__all__:
            if name in ("functional", "InterpolationMode", "AutoAugmentPolicy", "RandomTransforms"):
                continue
            a, b = (inspect.signature(getattr(m, name)).parameters for m in (module, other))
            assert list(a) == list(b), name
            assert [repr(p.default) for p in a.values()] == [repr(p.default) for p in b.values()], (
                name
            )


@pytest.mark.parity
@pytest.mark.parametrize("expression", ERRORS)
def test_errors_are_torchvisions(expression, both):
    kinds = []
    for library, vision in both:
        with pytest.raises(Exception) as raised:
            run(expression, library, vision, "uint8", [0])
        kinds.append(raised.type)
    assert issubclass(kinds[0], kinds[1]), kinds


def test_every_transform_is_in_the_table():
    used = " ".join(expression for expression, _ in CALLS + FUNCTIONS)
    missing = [
        name
        for name in T.__all__
        if f"T.{name}" not in used
        and name not in ("functional", "InterpolationMode", "RandomTransforms")
    ]
    by_class = [
        "center_crop", "convert_image_dtype", "elastic_transform", "five_crop",
        "get_image_num_channels", "hflip", "normalize", "pad", "pil_to_tensor", "resize",
        "rgb_to_grayscale", "solarize", "ten_crop", "to_pil_image", "to_tensor", "vflip",
        "adjust_sharpness",
    ]  # fmt: skip
    missing += [
        name
        for name in F.__all__
        if f"F.{name}" not in used and name not in ("InterpolationMode", *by_class)
    ]
    assert missing == []


def test_the_draws_are_recorded():
    rushlight.manual_seed(0)
    assert T.RandomCrop.get_params(rushlight.zeros(3, 40, 40), (32, 32)) == (8, 0, 32, 32)


def test_gradients_go_through():
    x = rushlight.rand(1, 3, 8, 8, requires_grad=True)
    for transform in (
        T.Resize(4),
        T.RandomRotation(30, T.InterpolationMode.BILINEAR),
        T.Normalize([0.5], [0.5]),
        T.GaussianBlur(3),
    ):
        (g,) = rushlight.autograd.grad(transform(x).sum(), x)
        assert g.abs().sum() > 0


def test_compiled_transforms():
    normal = T.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    x = rushlight.rand(2, 3, 8, 8)
    found = rushlight.compile(lambda x: normal(F.hflip(x)), fullgraph=True)(x)
    assert found.allclose(normal(F.hflip(x)))
    with pytest.raises(RuntimeError, match="item"):  # it would be flipped always, or never
        rushlight.compile(T.RandomHorizontalFlip(), fullgraph=True)(x)
