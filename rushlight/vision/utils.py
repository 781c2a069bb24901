"""Pictures of images, boxes and masks."""

import math
import warnings

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision.images import pillow
from rushlight.vision.transforms import functional as F

__all__ = [
    "draw_bounding_boxes", "draw_keypoints", "draw_segmentation_masks", "flow_to_image",
    "make_grid", "save_image",
]  # fmt: skip


@torch.no_grad()
def make_grid(
    tensor, nrow=8, padding=2, normalize=False, value_range=None, scale_each=False, pad_value=0.0
):
    """Arrange many images in one, with a margin between and around them.

    Args:
        tensor: Tensor ``(N, C, H, W)``, ``(C, H, W)`` or ``(H, W)``, or a list of tensors
            ``(C, H, W)``.
        nrow: Number of images in a row. Default: 8.
        padding: Width of the margin, in pixels. Default: 2.
        normalize: Scale values so that ``value_range`` becomes 0 to 1. Default: False.
        value_range: Pair (smallest, largest value). Default: those of all images, or with
            ``scale_each`` of each image.
        scale_each: Scale each image by itself. Default: False.
        pad_value: Value of the margin. Default: 0.

    Returns:
        Tensor ``(3, H', W')``; a single image is returned without a margin.

    Raises:
        TypeError: ``tensor`` is neither a tensor nor a list of tensors.

    >>> import rushlight as torch
    >>> from rushlight.vision.utils import make_grid
    >>> make_grid(torch.zeros(6, 1, 8, 8), nrow=3).shape
    torch.Size([3, 22, 32])
    """
    images = _batch(tensor)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(f"make_grid: value_range must be (min, max), got {value_range!r}")
        images = images.clone()
        for part in images if scale_each else [images]:
            low, high = value_range or (float(part.min()), float(part.max()))
            part.clamp_(low, high).sub_(low).div_(max(high - low, 1e-5))
    if len(images) == 1:
        return images.squeeze(0)
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = height + padding, width + padding
    size = (channels, height * rows + padding, width * columns + padding)
    grid = images.new_full(size, pad_value)
    for i, image in enumerate(images):
        top, left = i // columns * height + padding, i % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = image
    return grid


def _batch(tensor):
    """The images as (N, C, H, W); grey ones get three channels."""
    if not isinstance(tensor, Tensor):
        if not isinstance(tensor, list) or not all(isinstance(t, Tensor) for t in tensor):
            raise TypeError(f"make_grid: expected a tensor or a list of them, got {type(tensor)}")
        tensor = torch.stack(tensor)
    if tensor.dim() == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 3:
        tensor = tensor.unsqueeze(0)
    return torch.cat([tensor] * 3, 1) if tensor.shape[1] == 1 else tensor


@torch.no_grad()
def save_image(tensor, fp, format=None, **options):
    """Arrange images by ``make_grid``, and write the result to a file.

    Args:
        tensor: As for ``make_grid``, with values from 0 to 1.
        fp: Name of the file, or a file object.
        format: The file format, such as ``"png"``. Default: by the file's name.
        **options: Options of ``make_grid``.

    >>> import pathlib, tempfile, rushlight as torch
    >>> from rushlight.vision.io import read_image
    >>> from rushlight.vision.utils import save_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "image.png")
    ...     save_image(torch.zeros(2, 3, 8, 8), path)
    ...     read_image(path).shape
    torch.Size([3, 12, 22])
    """
    grid = make_grid(tensor, **options)
    pixels = grid.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    F.to_pil_image(pixels).save(fp, format=format)


def _checked(name, image, channels):
    """Check an image to be drawn on.

    Raises:
        TypeError: the image is not a tensor.
        ValueError: the image's shape or element type does not fit.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(image)}")
    if not (image.dtype is torch.uint8 or image.is_floating_point()):
        raise ValueError(f"{name}: expected uint8 or floating point, got {image.dtype}")
    if image.dim() != 3 or image.shape[0] not in channels:
        raise ValueError(
            f"{name}: expected one image of {channels} channels, got {tuple(image.shape)}"
        )


PALETTE = (2**25 - 1, 2**15 - 1, 2**21 - 1)


def _colours(colours, count):
    """Return a colour (red, green, blue) for each of ``count`` boxes, masks or points.

    Raises:
        ValueError: ``colours`` is neither a colour nor a list of at least ``count`` colours.
    """
    if colours is None:
        colours = [tuple([i * part % 255 for part in PALETTE]) for i in range(count)]
    elif isinstance(colours, list):
        if len(colours) < count:
            raise ValueError(f"colors: {len(colours)} are too few for {count} things")
    elif isinstance(colours, str) or (isinstance(colours, tuple) and len(colours) == 3):
        colours = [colours] * count
    else:
        raise ValueError(f"colors must be a name, (r, g, b), or a list of those, got {colours!r}")
    by_name = pillow("ImageColor").getrgb
    return [by_name(colour) if isinstance(colour, str) else colour for colour in colours]


@torch.no_grad()
def draw_bounding_boxes(
    image, boxes, labels=None, colors=None, fill=False, width=1, font=None, font_size=None,
    label_colors=None, label_background_colors=None, fill_labels=False,
):  # fmt: skip
    """Draw boxes and their labels on an image.

    Args:
        image: Tensor ``(1, H, W)`` or ``(3, H, W)``: uint8, or floating point from 0 to 1.
        boxes: Tensor ``(N, 4)`` of boxes (x1, y1, x2, y2), in pixels.
        labels: List of N texts, or None where there is none. Default: no labels.
        colors: A colour (a name, or three ints from 0 to 255), or a list of N colours. Default: a
            different colour for each box.
        fill: Fill the boxes with their colours, half transparent. Default: False.
        width: Width of the lines, in pixels. Default: 1.
        font: Name of a TrueType font file. Default: Pillow's font.
        font_size: Size of ``font``, in points. Default: 10.
        label_colors: Colour or colours of the labels. Default: those of the boxes; black with
            ``fill_labels``.
        label_background_colors: Colour or colours behind the labels. Default: those of the boxes.
        fill_labels: Draw a filled rectangle behind each label. Default: False.

    Returns:
        Tensor ``(3, H, W)`` of ``image``'s dtype; ``image`` itself if there is no box.

    Raises:
        TypeError: ``image`` is no tensor.
        ValueError: Shapes, element types, colours or labels do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.utils import draw_bounding_boxes
    >>> image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    >>> draw_bounding_boxes(image, torch.tensor([[0, 0, 2, 2]]), colors="red")[0]
    tensor([[255, 255, 255,   0],
            [255,   0, 255,   0],
            [255, 255, 255,   0],
            [  0,   0,   0,   0]], dtype=torch.uint8)
    """
    _checked("draw_bounding_boxes", image, (1, 3))
    if boxes.shape[-1] != 4 or (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError(
            "draw_bounding_boxes: boxes must be (xmin, ymin, xmax, ymax): ops.box_convert"
        )
    count = len(boxes)
    if count == 0:
        warnings.warn("draw_bounding_boxes: there is no box", stacklevel=3)
        return image
    labels = [None] * count if labels is None else labels
    if len(labels) != count:
        raise ValueError(f"draw_bounding_boxes: {len(labels)} labels for {count} boxes")
    lines = _colours(colors, count)
    texts, grounds = lines, lines
    if label_colors or fill_labels:
        texts = _colours(label_colors or "black", count)
    if fill_labels and label_background_colors:
        grounds = _colours(label_background_colors, count)
    grey = image.shape[0] == 1
    picture = F.to_pil_image(_bytes(torch.cat([image] * 3) if grey else image))
    draw = pillow("ImageDraw").Draw(picture, "RGBA" if fill else None)
    font = _font(font, font_size)
    corners = boxes.to(torch.int64).tolist()
    for box, label, line, text, ground in zip(corners, labels, lines, texts, grounds, strict=False):
        draw.rectangle(box, width=width, outline=line, fill=(*line, 100) if fill else None)
        if label is None:
            continue
        place = (box[0] + width + 1, box[1] + width + 1)
        if fill_labels:
            left, top, right, bottom = draw.textbbox(place, label, font=font)
            draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=ground)
        draw.text(place, label, fill=text, font=font)
    return F.convert_image_dtype(F.pil_to_tensor(picture), image.dtype)


def _font(font, size):
    if font is not None:
        return pillow("ImageFont").truetype(font=font, size=size or 10)
    if size is not None:
        warnings.warn("draw_bounding_boxes: font_size is for a font that is given", stacklevel=4)
    return pillow("ImageFont").load_default()


def _bytes(image):
    return F.convert_image_dtype(image, torch.uint8)


@torch.no_grad()
def draw_segmentation_masks(image, masks, alpha=0.8, colors=None):
    """Paint masks over an image in colours.

    Pixels where masks overlap are painted black.

    Args:
        image: Tensor ``(3, H, W)``: uint8, or floating point from 0 to 1.
        masks: Tensor ``(N, H, W)`` or ``(H, W)`` of bools.
        alpha: Opacity of the colours, from 0 to 1. Default: 0.8.
        colors: A colour (a name, or three ints from 0 to 255), or a list of N colours. Default: a
            different colour for each mask.

    Returns:
        Tensor ``(3, H, W)`` of ``image``'s dtype; ``image`` itself if there is no mask.

    Raises:
        TypeError: ``image`` is no tensor.
        ValueError: Shapes, element types or colours do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.utils import draw_segmentation_masks
    >>> image = torch.zeros(3, 1, 2, dtype=torch.uint8)
    >>> draw_segmentation_masks(image, torch.tensor([[True, False]]), colors="red")[0]
    tensor([[204,   0]], dtype=torch.uint8)
    """
    _checked("draw_segmentation_masks", image, (3,))
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3 or masks.dtype is not torch.bool or masks.shape[1:] != image.shape[1:]:
        raise ValueError(
            f"draw_segmentation_masks: masks must be (N, *{tuple(image.shape[1:])}) of bool, got "
            f"{tuple(masks.shape)} of {masks.dtype}"
        )
    if len(masks) == 0:
        warnings.warn("draw_segmentation_masks: there is no mask", stacklevel=3)
        return image
    painted = image.clone()
    white = 1 if image.dtype is torch.uint8 else 255
    for mask, colour in zip(masks, _colours(colors, len(masks)), strict=False):
        value = torch.tensor([part / white for part in colour]).to(image.dtype)
        painted = torch.where(mask, value[:, None, None], painted)
    painted = torch.where(masks.sum(0) > 1, torch.zeros_like(painted), painted)
    return (image * (1 - alpha) + painted * alpha).to(image.dtype)


@torch.no_grad()
def draw_keypoints(
    image, keypoints, connectivity=None, colors=None, radius=2, width=3, visibility=None
):
    """Draw points on an image, and lines between them.

    Args:
        image: Tensor ``(3, H, W)``: uint8, or floating point from 0 to 1.
        keypoints: Tensor ``(N, K, 2)``: K points (x, y) of each of N things, in pixels.
        connectivity: List of pairs of indices of points to join. Default: no lines.
        colors: Colour of the points: a name, or three ints from 0 to 255. Default: white.
        radius: Radius of the points, in pixels. Default: 2.
        width: Width of the lines, in pixels. Default: 3.
        visibility: Tensor ``(N, K)`` of bools: the points to draw. Default: all.

    Returns:
        Tensor ``(3, H, W)`` of ``image``'s dtype.

    Raises:
        TypeError: ``image`` is no tensor.
        ValueError: Shapes or element types do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.utils import draw_keypoints
    >>> image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    >>> draw_keypoints(image, torch.tensor([[[4, 4]]]), colors="red")[0, 4, 4]
    tensor(255, dtype=torch.uint8)
    """
    _checked("draw_keypoints", image, (3,))
    if keypoints.ndim != 3:
        raise ValueError(
            f"draw_keypoints: keypoints must be (N, K, 2), got {tuple(keypoints.shape)}"
        )
    if visibility is None:
        visibility = torch.ones(keypoints.shape[:-1], dtype=torch.bool)
    visibility = visibility.squeeze(-1) if visibility.ndim == 3 else visibility
    if visibility.shape != keypoints.shape[:-1]:
        raise ValueError(
            f"draw_keypoints: visibility {tuple(visibility.shape)} must be "
            f"{tuple(keypoints.shape[:-1])}"
        )
    picture = F.to_pil_image(_bytes(image))
    draw = pillow("ImageDraw").Draw(picture)
    shown = visibility.to(torch.bool).tolist()
    for points, seen in zip(keypoints.to(torch.int64).tolist(), shown, strict=True):
        for (x, y), visible in zip(points, seen, strict=True):
            if visible:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors, width=0)
        for start, end in connectivity or ():
            if seen[start] and seen[end]:
                draw.line([tuple(points[start]), tuple(points[end])], width=width)
    return F.convert_image_dtype(F.pil_to_tensor(picture), image.dtype)


# Optical flow -----------------------------------------------------------------------------


@torch.no_grad()
def flow_to_image(flow):
    """Show a flow by colours: the hue is its direction, and the saturation its length.

    Args:
        flow: Tensor ``(N, 2, H, W)`` or ``(2, H, W)``, float32: the motion along x and y.

    Returns:
        Tensor ``(N, 3, H, W)`` or ``(3, H, W)``, uint8. Places without motion are white.

    Raises:
        ValueError: ``flow`` has another shape or dtype.

    Source: Baker et al. 2011, A Database and Evaluation Methodology for Optical Flow.

    >>> import rushlight as torch
    >>> from rushlight.vision.utils import flow_to_image
    >>> flow_to_image(torch.zeros(2, 1, 1)).flatten()
    tensor([255, 255, 255], dtype=torch.uint8)
    """
    if flow.dtype is not torch.float32:
        raise ValueError(f"flow_to_image: flow must be of torch.float32, got {flow.dtype}")
    if flow.ndim not in (3, 4) or flow.shape[-3] != 2:
        raise ValueError(
            f"flow_to_image: flow must be (N, 2, H, W) or (2, H, W), got {tuple(flow.shape)}"
        )
    longest = flow.pow(2).sum(-3).sqrt().max()
    flow = flow / (longest + torch.finfo(torch.float32).eps)
    length = flow.pow(2).sum(-3).sqrt()
    x, y = flow.unbind(-3)
    hues = _hues() / 255
    at = (torch.atan2(-y, -x) / math.pi + 1) / 2 * (len(hues) - 1)
    low = at.floor().long()
    share = (at - low).unsqueeze(-1)
    colour = (1 - share) * hues[low] + share * hues[(low + 1) % len(hues)]
    colour = 1 - length.unsqueeze(-1) * (1 - colour)
    return (255 * colour).floor().to(torch.uint8).movedim(-1, -3).contiguous()


def _hues():
    """The colours of a circle of directions, (55, 3), from 0 to 255.

    Between two of the six main colours one channel rises from 0 or falls from 255.
    """
    red, yellow, green = (255, 0, 0), (255, 255, 0), (0, 255, 0)
    cyan, blue, magenta = (0, 255, 255), (0, 0, 255), (255, 0, 255)
    circle = [red, yellow, green, cyan, blue, magenta, red]
    found = []
    for count, first, last in zip((15, 6, 4, 11, 13, 6), circle[:-1], circle[1:], strict=True):
        for step in range(count):
            move = math.floor(255 * step / count)
            found.append(
                [a + (b > a) * move - (b < a) * move for a, b in zip(first, last, strict=True)]
            )
    return torch.tensor(found, dtype=torch.float32)
