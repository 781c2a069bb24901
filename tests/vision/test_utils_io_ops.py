"""Grids, drawings, image files, boxes and layers: torchvision's results."""

import numpy as np
import pytest

import rushlight
from rushlight import vision

pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def both():
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    return (rushlight, vision), (torch, torchvision)


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.detach().numpy() if hasattr(value, "detach") else value


def compare(expression, both, setup="", **tolerance):
    """Evaluate the same under both, and compare."""
    found = []
    for library, package in both:
        names = {
            "torch": library, "V": package, "U": package.utils, "O": package.ops, "IO": package.io,
            "np": np,
            "bytes_": library.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 20, 24), np.uint8)),
            "floats": library.from_numpy(np.random.default_rng(1).random((5, 3, 6, 7), np.float32)),
            "boxes": library.tensor([[2, 3, 10, 12], [4, 4, 20, 18], [0, 0, 3, 2]]),
            "masks": library.from_numpy(np.random.default_rng(2).random((3, 20, 24)) > 0.6),
        }  # fmt: skip
        library.manual_seed(0)
        exec(setup, names)
        found.append(plain(eval(expression, names)))
    if len(found) == 2:
        _same(*found, **tolerance)


def _same(a, b, **tolerance):
    assert type(a) is type(b)
    if isinstance(b, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            _same(x, y, **tolerance)
    elif isinstance(b, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})
    else:
        assert a == b


GRIDS = [
    "U.make_grid(floats)", "U.make_grid(floats, nrow=2, padding=3, pad_value=0.5)",
    "U.make_grid(floats, normalize=True)", "U.make_grid(floats, normalize=True, value_range=(0.2, 0.8))",
    "U.make_grid(floats, normalize=True, scale_each=True)", "U.make_grid([*floats[:2]])",
    "U.make_grid(floats[:, :1])", "U.make_grid(floats[0])", "U.make_grid(floats[0, :1])", "U.make_grid(floats[0, 0])",
    "U.make_grid(bytes_[None].expand(3, -1, -1, -1), nrow=2)",
]  # fmt: skip
DRAWINGS = [
    "U.draw_bounding_boxes(bytes_, boxes)", "U.draw_bounding_boxes(bytes_, boxes, colors='red', width=2)",
    "U.draw_bounding_boxes(bytes_, boxes, colors=['red', (1, 2, 3), '#00ff00'], fill=True)",
    "U.draw_bounding_boxes(bytes_, boxes, labels=['a', 'b', None], fill_labels=True, label_colors='white')",
    "U.draw_bounding_boxes(floats[0], torch.tensor([[0, 1, 3, 4.0]]))", "U.draw_bounding_boxes(bytes_[:1], boxes)",
    "U.draw_segmentation_masks(bytes_, masks)", "U.draw_segmentation_masks(bytes_, masks[0], 0.5, 'blue')",
    "U.draw_segmentation_masks(bytes_ / 255, masks, 0.3, ['red', 'green', (9, 8, 7)])",
    "U.draw_keypoints(bytes_, torch.tensor([[[3, 4], [10, 12.0]], [[20, 2], [5, 19]]]), [(0, 1)], 'red')",
    "U.draw_keypoints(bytes_, torch.tensor([[[3, 4], [10, 12]]]), visibility=torch.tensor([[True, False]]))",
]  # fmt: skip
BOXES = [
    *[f"O.box_convert(boxes / 1.0, {a!r}, {b!r})" for a in ("xyxy", "xywh", "cxcywh") for b in ("xyxy", "xywh", "cxcywh")],
    "O.box_area(boxes), O.box_area(boxes, 'xywh')", "O.box_iou(boxes, boxes[:2])", "O.box_iou(boxes / 2, boxes / 1.0, fmt='cxcywh')",
    "O.generalized_box_iou(boxes, boxes[1:])", "O.distance_box_iou(boxes, boxes[1:])", "O.complete_box_iou(boxes / 1.0, boxes[1:] / 2)",
    "O.clip_boxes_to_image(boxes / 1.0, (11, 12))", "O.remove_small_boxes(boxes, 3)", "O.masks_to_boxes(masks * torch.tensor([1, 0, 1])[:, None, None])",
    "O.nms(many, scores, 0.3)", "O.nms(many, scores, 0.7)", "O.nms(many[:0], scores[:0], 0.5)", "O.batched_nms(many, scores, torch.arange(200) % 3, 0.3)",
    "O.sigmoid_focal_loss(scores - 0.5, (scores > 0.3) * 1.0)", "O.sigmoid_focal_loss(scores, (scores > 0.3) * 1.0, -1, 1.5, 'mean')",
]  # fmt: skip
MANY = """
generator = np.random.default_rng(3)
corner = generator.random((200, 2), np.float32) * 50
many = torch.from_numpy(np.concatenate([corner, corner + generator.random((200, 2), np.float32) * 20], 1))
scores = torch.from_numpy(generator.integers(0, 50, 200).astype(np.float32) / 50)
"""
LAYERS = [
    "repr(O.Conv2dNormActivation(3, 8, 5, dilation=2)), O.Conv2dNormActivation(3, 8, (3, 5), norm_layer=None)(floats)",
    "repr(O.Conv3dNormActivation(3, 8, activation_layer=None, stride=2))", "O.SqueezeExcitation(3, 2)(floats)",
    "repr(O.MLP(3, [4, 5], torch.nn.LayerNorm, dropout=0.1, inplace=True)), O.MLP(7, [4, 5])(floats)",
    "repr(O.FrozenBatchNorm2d(3)), O.FrozenBatchNorm2d(3)(floats)", "O.Permute([0, 2, 3, 1])(floats)",
    "O.stochastic_depth(floats, 0.4, 'row')", "O.stochastic_depth(floats, 0.4, 'batch')", "O.StochasticDepth(0.4, 'row').eval()(floats)",
]  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("expression", GRIDS + BOXES + LAYERS)
def test_as_torchvision(expression, both):
    compare(expression, both, MANY)


@pytest.mark.parity
@pytest.mark.parametrize("expression", DRAWINGS)
def test_drawings_are_torchvisions(expression, both):
    compare(expression, both, atol=1)


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(2, 9, 11), (3, 2, 20, 30)])
def test_flows_are_shown_as_by_torchvision(shape, both):
    compare(
        "U.flow_to_image(flow)",
        both,
        f"flow = torch.from_numpy(np.random.default_rng(4).standard_normal({shape}).astype('f4'))",
        atol=0,
        rtol=0,
    )
    compare("U.flow_to_image(torch.zeros(2, 2, 3))", both, atol=0, rtol=0)


@pytest.mark.parity
@pytest.mark.parametrize("write", ["IO.write_png(bytes_, path, 3)", "IO.write_png(bytes_[:1], path)", "IO.write_jpeg(bytes_, path)",
                                   "IO.write_jpeg(bytes_[:1], path, 90)", "U.save_image(floats, path, format='png', nrow=2)"])  # fmt: skip
@pytest.mark.parametrize("mode", ["UNCHANGED", "GRAY", "RGB", "RGB_ALPHA"])
def test_files_are_torchvisions(write, mode, both, tmp_path):
    if mode == "RGB_ALPHA" and "jpeg" in write:
        pytest.skip("JPEG has no alpha")
    path = str(tmp_path / "image")
    options = f"IO.ImageReadMode.{mode}"
    # Either library reads what the other has written.
    for writer in both:
        names = {"path": path, "IO": writer[1].io, "U": writer[1].utils}
        names["bytes_"] = writer[0].from_numpy(
            np.random.default_rng(0).integers(0, 256, (3, 20, 24), np.uint8)
        )
        names["floats"] = writer[0].from_numpy(
            np.random.default_rng(1).random((5, 3, 6, 7), np.float32)
        )
        exec(write, names)
        compare(f"IO.read_image({path!r}, {options})", both, atol=1)
        compare(f"IO.decode_image({path!r}, {mode.lower()!r})", both, atol=1)
        compare(f"IO.decode_image(IO.read_file({path!r}), {options})", both, atol=1)


def test_files_that_are_no_images(tmp_path):
    path = tmp_path / "text"
    path.write_text("no image")
    with pytest.raises(RuntimeError, match="not an image"):
        vision.io.read_image(path)
    vision.io.write_jpeg(rushlight.zeros(3, 4, 4, dtype=rushlight.uint8), path)
    with pytest.raises(RuntimeError, match="not an image"):
        vision.io.decode_png(vision.io.read_file(path))
    with pytest.raises(RuntimeError, match="uint8"):
        vision.io.write_png(rushlight.zeros(3, 4, 4), path)
    with pytest.raises(ValueError, match="100"):
        vision.io.encode_jpeg(rushlight.zeros(3, 4, 4, dtype=rushlight.uint8), 101)


@pytest.mark.parity
@pytest.mark.parametrize("expression", [
    "U.make_grid('a')", "U.make_grid([1])", "U.make_grid(floats, normalize=True, value_range=[0, 1])", "U.draw_bounding_boxes('a', boxes)",
    "U.draw_bounding_boxes(bytes_.int(), boxes)", "U.draw_bounding_boxes(bytes_[None], boxes)", "U.draw_bounding_boxes(bytes_[:2], boxes)",
    "U.draw_bounding_boxes(bytes_, boxes.flip(-1))", "U.draw_bounding_boxes(bytes_, boxes, labels=['a'])", "U.draw_bounding_boxes(bytes_, boxes, colors=['red'])",
    "U.draw_bounding_boxes(bytes_, boxes, colors=3)", "U.draw_segmentation_masks(bytes_, masks[..., 1:])", "U.draw_segmentation_masks(bytes_, masks.int())",
    "U.draw_segmentation_masks(bytes_[:1], masks)", "U.draw_keypoints(bytes_, boxes)", "O.box_convert(boxes, 'a', 'xyxy')", "O.box_area(boxes, 'a')",
    "U.flow_to_image(floats[:2, 0].double())", "U.flow_to_image(floats)", "O.nms(boxes[0], boxes[0], 0.1)", "O.sigmoid_focal_loss(floats, floats, 2)", "O.sigmoid_focal_loss(floats, floats, reduction='a')",
    "O.stochastic_depth(floats, 2, 'row')", "O.stochastic_depth(floats, 0.1, 'a')",
])  # fmt: skip
def test_errors_are_torchvisions(expression, both):
    kinds = []
    for libraries in both:
        with pytest.raises(Exception) as raised:
            compare(expression, [libraries])
        kinds.append(raised.type)
    assert issubclass(kinds[0], kinds[1]), kinds


def test_nothing_to_draw():
    image = rushlight.zeros(3, 4, 4, dtype=rushlight.uint8)
    with pytest.warns(UserWarning, match="no box"):
        assert vision.utils.draw_bounding_boxes(image, rushlight.zeros(0, 4)) is image
    with pytest.warns(UserWarning, match="no mask"):
        none = rushlight.zeros(0, 4, 4, dtype=rushlight.bool)
        assert vision.utils.draw_segmentation_masks(image, none) is image
