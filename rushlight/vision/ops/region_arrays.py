"""What the operations on regions of interest share: boxes as arrays, and weighted averages."""

import numpy as np

import rushlight as torch

__all__ = ["arrays_of", "divided", "of_own_channels", "rois_of", "two"]


def rois_of(boxes, name):
    """Boxes as one tensor (K, 5), whose first column is the number of the image.

    Raises:
        RuntimeError: The boxes have another shape. (AssertionError in torchvision's terms.)
    """
    if isinstance(boxes, (list, tuple)):
        for box in boxes:
            if box.shape[1] != 4:
                raise AssertionError(f"{name}: boxes in a list must be (L, 4), got {box.shape}")
        numbered = [torch.full_like(box[:, :1], i) for i, box in enumerate(boxes)]
        return torch.cat([torch.cat(numbered), torch.cat(list(boxes))], 1)
    if not isinstance(boxes, torch.Tensor) or boxes.shape[1] != 5:
        raise AssertionError(f"{name}: boxes must be a Tensor (K, 5) or a list of Tensors (L, 4)")
    return boxes


def two(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def arrays_of(input, boxes, name):
    """The images' numbers (K,), and the boxes (K, 4) as an array.

    Raises:
        IndexError: A box is in an image that ``input`` does not have.
    """
    rois = rois_of(boxes, name)
    if rois.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}: Expected tensor for argument #1 'input' to have the same type as tensor for "
            f"argument #2 'rois'; but type {input.dtype} does not equal {rois.dtype}"
        )
    array = rois.detach().numpy()
    with np.errstate(invalid="ignore"):  # nan becomes a number that is refused
        numbers = array[:, 0].astype(np.int64)
    outside = numbers[(numbers < 0) | (numbers >= len(input))]
    if outside.size:  # a loop of machine code would read other memory
        raise IndexError(
            f"{name}: a box is in image {outside[0]}, but input {tuple(input.shape)} has images 0 "
            f"to {len(input) - 1}"
        )
    return numbers, array[:, 1:]


def divided(input, bins, name):
    """The channels for each bin: input (N, C·PH·PW, H, W) gives C.

    Raises:
        RuntimeError: The number of channels is no multiple of that of bins.
    """
    if input.shape[1] % (bins[0] * bins[1]):
        raise RuntimeError(
            f"{name}: input channels must be a multiple of pooling height * pooling width, got "
            f"{input.shape[1]} and {bins}"
        )
    return input.shape[1] // (bins[0] * bins[1])


def of_own_channels(input, numbers, rows, columns):
    """Products of channels of each bin with the weights of rows and columns: (K, C, PH, PW).

    Shape: rows (K, PH, H), columns (K, PW, W).
    """
    images = input.reshape(len(input), -1, rows.shape[1], columns.shape[1], *input.shape[-2:])
    found, order = [], []
    for number in np.unique(numbers):
        own = np.flatnonzero(numbers == number)
        y, x = torch.from_numpy(rows[own]), torch.from_numpy(columns[own])
        mixed = torch.einsum("cijhw,kih->kcijw", images[int(number)], y)
        found.append(torch.einsum("kcijw,kjw->kcij", mixed, x))
        order.append(own)
    if len(found) == 1:
        return found[0]
    back = np.argsort(np.concatenate(order), kind="stable")
    return torch.cat(found)[torch.from_numpy(back)]
