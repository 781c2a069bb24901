"""Rearranges, reduces and mixes axes, in layers of a network that is trained."""

requires = ["einops"]


def run():
    """Gradients and losses of a patch mixer."""
    import torch
    from einops import pack, rearrange, reduce, repeat, unpack
    from einops.layers.torch import EinMix, Rearrange, Reduce

    images = torch.randn(8, 3, 16, 16)
    labels = torch.arange(8) % 4
    model = torch.nn.Sequential(
        Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4),
        EinMix("b t i -> b t o", weight_shape="i o", bias_shape="o", i=48, o=32),
        torch.nn.GELU(),
        EinMix("b t c -> b s c", weight_shape="t s", t=16, s=16),
        Reduce("b t c -> b c", "mean"),
        torch.nn.Linear(32, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    packed, shapes = pack([images, images.mean((2, 3), keepdim=True)], "b c *")
    return {
        "losses": losses,
        "gradient": model[1].weight.grad,
        "rearranged": rearrange(images, "b c h w -> (b w) (c h)"),
        "largest": reduce(images, "b c (h 2) (w 2) -> b c h w", "max"),
        "repeated": repeat(images[0, 0], "h w -> h (w 3)"),
        "unpacked": unpack(packed, shapes, "b c *")[1],
    }
