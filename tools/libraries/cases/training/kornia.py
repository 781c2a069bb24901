"""Filter, warp, enhance and augment images, find edges, and fit a homography by gradients."""

requires = ["kornia"]


def run():
    """Return images, features and losses."""
    import kornia as K
    import torch

    x = torch.rand(2, 3, 24, 24)
    grey = K.color.rgb_to_grayscale(x)
    found = {
        "colours": [K.color.rgb_to_hsv(x), K.color.rgb_to_lab(x), K.color.rgb_to_ycbcr(x)],
        "blurred": [
            K.filters.gaussian_blur2d(x, (5, 5), (1.5, 1.5)),
            K.filters.median_blur(x, 3),
            K.filters.bilateral_blur(x, 3, 0.1, (1.0, 1.0)),
        ],
        "edges": [K.filters.sobel(x), K.filters.canny(grey)[0], K.filters.laplacian(x, 3)],
        "morphology": [
            K.morphology.dilation(grey, torch.ones(3, 3)),
            K.morphology.opening(grey, torch.ones(3, 3)),
        ],
        "enhanced": [
            K.enhance.equalize(x),
            K.enhance.adjust_gamma(x, 0.7),
            K.enhance.sharpness(x, 1.5),
            K.enhance.equalize_clahe(x),
            K.enhance.posterize(x, 3),
        ],
        "corners": K.feature.harris_response(grey),
        "HOG-like": K.feature.SIFTDescriptor(24)(grey),
        "rotated": K.geometry.rotate(x, torch.tensor([20.0, -45.0])),
        "resized": K.geometry.resize(x, (12, 15), antialias=True),
        "pyramid": K.geometry.build_pyramid(x, 3)[-1],
        "SSIM": K.metrics.ssim(x, x.flip(0), 5),
        "total variation": K.losses.total_variation(x),
        "quaternion": K.geometry.conversions.rotation_matrix_to_quaternion(torch.eye(3)[None]),
    }
    torch.manual_seed(3)
    augment = K.augmentation.AugmentationSequential(
        K.augmentation.RandomAffine(20.0, (0.1, 0.1), p=1.0),
        K.augmentation.ColorJitter(0.2, 0.2, 0.2, 0.1, p=1.0),
        K.augmentation.RandomHorizontalFlip(p=0.5),
        K.augmentation.RandomErasing(p=1.0),
        K.augmentation.RandomPerspective(0.3, p=1.0),
        data_keys=["input", "mask"],
    )
    image, mask = augment(x, (grey > 0.5).float())
    found["augmented"], found["mask"] = image, mask
    corners = torch.tensor([[[0.0, 0.0], [23.0, 0.0], [23.0, 23.0], [0.0, 23.0]]])
    moved = corners + torch.randn(1, 4, 2)
    homography = K.geometry.get_perspective_transform(corners, moved)
    found["homography"] = homography
    target = K.geometry.warp_perspective(x[:1], homography, (24, 24))
    guess = torch.eye(3)[None].requires_grad_()
    optimizer = torch.optim.Adam([guess], 1e-3)
    losses = []
    for _ in range(5):
        loss = (K.geometry.warp_perspective(x[:1], guess, (24, 24)) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found["losses"] = losses
    return found
