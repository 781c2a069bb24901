"""Vector quantizers of ten kinds, and a small VQ-VAE that is trained."""

requires = ["vector-quantize-pytorch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from torch import nn
    from vector_quantize_pytorch import (
        FSQ,
        LFQ,
        GroupedResidualVQ,
        RandomProjectionQuantizer,
        ResidualFSQ,
        ResidualVQ,
        SimVQ,
        VectorQuantize,
    )

    x = torch.randn(2, 24, 8)
    results = {}
    layers = {
        "ema": VectorQuantize(dim=8, codebook_size=16, decay=0.8, commitment_weight=1.0),
        "kmeans": VectorQuantize(dim=8, codebook_size=16, kmeans_init=True, kmeans_iters=3),
        "cosine": VectorQuantize(dim=8, codebook_size=16, use_cosine_sim=True, codebook_dim=4),
        "learnt": VectorQuantize(
            dim=8, codebook_size=16, learnable_codebook=True, ema_update=False
        ),
        "heads": VectorQuantize(dim=8, codebook_size=16, heads=2, separate_codebook_per_head=True),
        "residual": ResidualVQ(dim=8, num_quantizers=3, codebook_size=16),
        "grouped": GroupedResidualVQ(dim=8, num_quantizers=2, groups=2, codebook_size=16),
        "fsq": FSQ(levels=[5, 4, 3], dim=8),
        "residual fsq": ResidualFSQ(dim=8, levels=[4, 3], num_quantizers=2),
        "lfq": LFQ(dim=8, codebook_size=16, entropy_loss_weight=0.1),
        "sim": SimVQ(dim=8, codebook_size=16),
    }
    for name, layer in layers.items():
        given = x.clone().requires_grad_()
        found = layer(given)
        found[0].square().sum().backward()
        results[name] = [*found, given.grad]
    with torch.no_grad():
        results["random"] = RandomProjectionQuantizer(
            dim=8, num_codebooks=2, codebook_dim=4, codebook_size=16
        )(x)

    encoder, decoder = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8)), nn.Linear(8, 6)
    quantizer = VectorQuantize(
        dim=8, codebook_size=12, threshold_ema_dead_code=2, rotation_trick=True
    )
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
    data, losses = torch.randn(4, 10, 6), []
    for _ in range(6):
        optimizer.zero_grad()
        quantized, indices, commitment = quantizer(encoder(data))
        loss = (decoder(quantized) - data).square().mean() + commitment.sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results["trained"] = [losses, indices, quantizer.codebook]
    return results
