"""transforms.v2 and tv_tensors: what torchvision gives for the same seed, and the classes' ways."""

import copy
import pickle

import pytest

import rushlight as torch
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import v2
from rushlight.vision.transforms.v2 import functional as F
from tests.vision.v2_cases import EXPECTED, outcome, sample


@pytest.mark.parametrize("expression", EXPECTED)
def test_a_sample_becomes_what_torchvision_makes_of_it(expression):
    total, box, mask, after = outcome(expression, torch, v2, tv_tensors)
    wanted = EXPECTED[expression]
    assert total == pytest.approx(wanted[0], rel=1e-5)
    assert box == pytest.approx(wanted[1], abs=2e-3)
    assert (mask, after) == (wanted[2], pytest.approx(wanted[3], abs=2e-6))


def rotated(format):
    boxes = torch.tensor([[12.0, 10.0, 8.0, 5.0, 30.0], [3.0, 4.0, 6.0, 7.0, 100.0]])
    boxes = F.convert_bounding_box_format(boxes, "CXCYWHR", format)
    return tv_tensors.BoundingBoxes(boxes, format=format, canvas_size=(23, 31))


def test_rotated_boxes_keep_their_shape_through_all_formats():
    start = rotated("CXCYWHR")
    corners = F.convert_bounding_box_format(start, new_format="XYXYXYXY")
    assert corners[0].tolist() == pytest.approx(
        [7.2859, 9.8349, 14.2141, 5.8349, 16.7141, 10.1651, 9.7859, 14.1651], abs=1e-3
    )
    back = F.convert_bounding_box_format(corners, new_format="CXCYWHR")
    torch.testing.assert_close(back.as_subclass(torch.Tensor), start.as_subclass(torch.Tensor))


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("soft", [0.0741, 7.5622, -0.9678, 1.6533, 5.9259, 0.4378, 6.9678, 6.3467]),
        ("hard", [0.5580, 7.4769, 0.0, 4.3123, 6.4098, 3.1821, 6.9678, 6.3467]),
    ],
)
def test_a_rotated_box_is_cut_at_the_border(mode, wanted):
    boxes = F.clamp_bounding_boxes(rotated("XYXYXYXY"), clamping_mode=mode)
    assert boxes[1].tolist() == pytest.approx(wanted, abs=2e-3)


def test_operations_give_plain_tensors_unless_told_otherwise():
    image = tv_tensors.Image(torch.ones(3, 2, 2))
    assert type(image + 1) is torch.Tensor and type(image[0]) is torch.Tensor
    assert isinstance(image.clone(), tv_tensors.Image)
    assert isinstance(image.to(torch.float64), tv_tensors.Image)
    with tv_tensors.set_return_type("TVTensor"):
        assert isinstance(image + 1, tv_tensors.Image)
    assert type(image * 2) is torch.Tensor
    with pytest.raises(ValueError, match="return_type"):
        tv_tensors.set_return_type("image")


def test_copies_of_boxes_keep_format_and_canvas():
    boxes = sample(torch, tv_tensors)["boxes"]
    for found in (
        copy.deepcopy(boxes),
        boxes.clone(),
        boxes.detach(),
        pickle.loads(pickle.dumps(boxes)),
    ):
        assert isinstance(found, tv_tensors.BoundingBoxes)
        assert (found.format.name, found.canvas_size) == ("XYXY", (20, 30))


def test_only_the_first_plain_tensor_is_an_image():
    first, second = torch.zeros(3, 8, 8), torch.zeros(3, 8, 8)
    a, b, label = v2.Resize(4)(first, second, 3)
    assert a.shape == (3, 4, 4) and b is second and label == 3
    image, plain = v2.Resize(4)(tv_tensors.Image(first), second)
    assert image.shape == (3, 4, 4) and plain is second


def test_a_kernel_of_a_class_of_ones_own():
    class Depth(tv_tensors.TVTensor):
        pass

    @F.register_kernel(F.vertical_flip, Depth)
    def flipped(depth):
        return tv_tensors.wrap(depth.flip(-2) * -1, like=depth)

    depth = torch.tensor([[1.0], [2.0]]).as_subclass(Depth)
    assert v2.RandomVerticalFlip(1.0)(depth).tolist() == [[-2.0], [-1.0]]
    assert v2.RandomHorizontalFlip(1.0)(depth) is depth  # no kernel: passed on
    with pytest.raises(TypeError, match="supports inputs"):
        F.horizontal_flip(depth)
    with pytest.raises(ValueError, match="already has a kernel"):
        F.register_kernel(F.vertical_flip, Depth)


def test_mixing_a_batch_mixes_its_labels():
    torch.manual_seed(0)
    images, labels = torch.arange(2.0).reshape(2, 1, 1, 1).expand(2, 3, 8, 8), torch.tensor([0, 2])
    mixed, shares = v2.MixUp(num_classes=3)(images, labels)
    assert shares.sum(1).tolist() == pytest.approx([1.0, 1.0])
    assert mixed[0].mean().item() == pytest.approx(shares[0, 2].item(), abs=1e-6)
    cut, shares = v2.CutMix(num_classes=3)({"x": images, "labels": labels}).values()
    assert cut[0].mean().item() == pytest.approx(shares[0, 2].item(), abs=1e-6)
    with pytest.raises(ValueError, match="num_classes"):
        v2.MixUp()(images, labels)


def test_boxes_that_are_too_small_go_with_their_labels_and_masks():
    boxes = tv_tensors.BoundingBoxes(
        [[0, 0, 2, 2], [3, 3, 3, 5]], format="XYXY", canvas_size=(8, 8)
    )
    masks = tv_tensors.Mask(torch.zeros(2, 8, 8, dtype=torch.uint8))
    whole = tv_tensors.Mask(torch.zeros(8, 8, dtype=torch.uint8))
    found = v2.SanitizeBoundingBoxes()(
        {"boxes": boxes, "labels": torch.tensor([4, 5]), "masks": masks, "whole": whole}
    )
    assert found["labels"].tolist() == [4] and found["boxes"].canvas_size == (8, 8)
    assert found["masks"].shape == (1, 8, 8) and found["whole"].shape == (8, 8)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: F.resize(x, 4, "linear"), ValueError),
        (lambda x: F.pad(x[:1], 2, fill=(1, 2, 3)), RuntimeError),
        (lambda x: F.convert_bounding_box_format(torch.ones(1, 4), "XYXY", "XYWHR"), ValueError),
        (lambda x: F.resize("a", 4), TypeError),
        (lambda x: v2.Compose([]), ValueError),
        (lambda x: v2.RandomIoUCrop()(x), TypeError),
        (lambda x: v2.RandAugment()(x, tv_tensors.Mask(x[0])), TypeError),
        (lambda x: v2.ToDtype("float"), ValueError),
        (lambda x: v2.JPEG(101), ValueError),
    ],
)
def test_errors(call, error):
    with pytest.raises(error):
        call(torch.zeros(3, 8, 8, dtype=torch.uint8))
