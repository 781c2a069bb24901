"""Rotary embeddings of sequences and images, with xpos and with interpolation."""

requires = ["rotary-embedding-torch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from rotary_embedding_torch import RotaryEmbedding, apply_rotary_emb

    q, k = (
        torch.randn(1, 2, 12, 16, requires_grad=True),
        torch.randn(1, 2, 12, 16, requires_grad=True),
    )
    results = {}
    rotary = RotaryEmbedding(dim=8)
    turned = rotary.rotate_queries_or_keys(q)
    scores = turned @ rotary.rotate_queries_or_keys(k, offset=3).mT
    scores.square().sum().backward()
    results["plain"] = [turned, scores, q.grad, k.grad]
    results["cached"] = rotary.rotate_queries_with_cached_keys(q[:, :, -1:], k)
    results["xpos"] = RotaryEmbedding(dim=8, use_xpos=True).rotate_queries_and_keys(q, k)
    results["interpolated"] = RotaryEmbedding(dim=8, interpolate_factor=2.0).rotate_queries_or_keys(
        q
    )
    learnt = RotaryEmbedding(dim=8, learned_freq=True, theta=500)
    learnt.rotate_queries_or_keys(q).sum().backward()
    results["learnt"] = [p.grad for p in learnt.parameters()]
    pixels = RotaryEmbedding(dim=4, freqs_for="pixel", max_freq=64)
    frequencies = pixels.get_axial_freqs(4, 4)
    results["pixels"] = [frequencies, apply_rotary_emb(frequencies, torch.randn(1, 4, 4, 16))]
    return results
