"""Transforms of a sample, with what torchvision 0.28 gives: the images' sum and one box.

``python -m tests.vision.v2_cases``, where torchvision is installed, prints the table anew.
"""

#: expression → for seed 0: the sum of the image, the second box, the sum of
#: the mask, and the next random number
EXPECTED = {
    "v2.Resize(16)": (143909, [8.4, 3.4, 16.6, 7.6], 184, 0.496257),
    "v2.Resize((13, 40), 'bicubic')": (195021, [14.0, 2.762, 27.667, 6.175], 252, 0.496257),
    "v2.Resize(None, max_size=20)": (97491, [7.0, 2.762, 13.833, 6.175], 125, 0.496257),
    "v2.CenterCrop((30, 12))": (91361, [1.5, 9.25, 11.75, 14.5], 118, 0.496257),
    "v2.RandomResizedCrop(12)": (53733, [6.632, 2.294, 12.0, 6.0], 70, 0.307423),
    "v2.Pad((1, 2, 3, 4), fill=3)": (227570, [11.5, 6.25, 21.75, 11.5], 576, 0.496257),
    "v2.RandomZoomOut(p=1.0)": (225014, [16.5, 10.25, 26.75, 15.5], 292, 0.307423),
    "v2.RandomCrop(15)": (83096, [0.0, 2.25, 5.75, 7.5], 110, 0.088477),
    "v2.RandomHorizontalFlip(1.0)": (225014, [9.25, 4.25, 19.5, 9.5], 292, 0.768222),
    "v2.RandomVerticalFlip(1.0)": (225014, [10.5, 10.5, 20.75, 15.75], 292, 0.768222),
    "v2.RandomRotation(45, expand=True)": (225014, [10.562, 4.312, 20.842, 9.622], 292, 0.768222),
    "v2.RandomAffine(30, (0.1, 0.2), (0.7, 1.3), (-10, 10, -5, 5))": (130638, [13.175, 2.405, 21.452, 6.707], 165, 0.490093),
    "v2.RandomPerspective(p=1.0)": (82558, [11.459, 4.904, 17.416, 9.026], 107, 0.632306),
    "v2.ElasticTransform(sigma=2.0)": (194893, [11.429, 3.832, 18.29, 11.233], 262, 0.712547),
    "v2.ScaleJitter((20, 20))": (97491, [7.0, 2.762, 13.833, 6.175], 125, 0.768222),
    "v2.RandomShortestSize([10, 12], max_size=14)": (47214, [4.9, 1.912, 9.683, 4.275], 62, 0.768222),
    "v2.RandomIoUCrop()": (225014, [10.5, 4.25, 20.75, 9.5], 292, 0.601191),
    "v2.ColorJitter(0.4, 0.4, 0.4, 0.2)": (154789, [10.5, 4.25, 20.75, 9.5], 292, 0.896445),
    "v2.RandomPhotometricDistort(p=1.0)": (244567, [10.5, 4.25, 20.75, 9.5], 292, 0.022326),
    "v2.RandomAutocontrast(1.0)": (228596, [10.5, 4.25, 20.75, 9.5], 292, 0.768222),
    "v2.RandomAdjustSharpness(1.9, 1.0)": (225656, [10.5, 4.25, 20.75, 9.5], 292, 0.768222),
    "v2.RandomEqualize(1.0)": (263348, [10.5, 4.25, 20.75, 9.5], 292, 0.768222),
    "v2.RandomPosterize(3, 1.0)": (197600, [10.5, 4.25, 20.75, 9.5], 292, 0.768222),
    "v2.GaussianBlur(5)": (224628, [10.5, 4.25, 20.75, 9.5], 292, 0.768222),
    "v2.GaussianNoise()": (226252, [10.5, 4.25, 20.75, 9.5], 292, 0.89525),
    "v2.Grayscale(3)": (224052, [10.5, 4.25, 20.75, 9.5], 292, 0.496257),
    "v2.ConvertBoundingBoxFormat('CXCYWH')": (225014, [15.625, 6.875, 10.25, 5.25], 292, 0.496257),
    "v2.ToDtype(torch.int16, scale=True)": (28801792, [10.5, 4.25, 20.75, 9.5], 292, 0.496257),
}  # fmt: skip


def sample(torch, tv_tensors):
    """An image with two boxes and a mask."""
    pixels = torch.arange(3 * 20 * 30).reshape(3, 20, 30) * 7919 % 251
    boxes = [[2.0, 3.0, 12.0, 14.0], [10.5, 4.25, 20.75, 9.5]]
    return {
        "image": tv_tensors.Image(pixels.to(torch.uint8)),
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(20, 30)),
        "mask": tv_tensors.Mask(pixels[0] > 128),
        "id": 3,
    }


def outcome(expression, torch, v2, tv_tensors):
    """The table's entry for an expression."""
    transform = eval(expression, {"v2": v2, "torch": torch})
    torch.manual_seed(0)
    found = transform(sample(torch, tv_tensors))
    box = [round(number, 3) for number in found["boxes"][1].tolist()]
    return (
        found["image"].sum().item(),
        box,
        found["mask"].sum().item(),
        round(torch.rand(1).item(), 6),
    )


if __name__ == "__main__":
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    for expression in EXPECTED:
        print(f'    "{expression}": {outcome(expression, torch, v2, tv_tensors)},')
