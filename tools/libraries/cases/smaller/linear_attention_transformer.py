"""Transformers with linear attention: a language model, an encoder, images, reversible layers."""

requires = ["linear-attention-transformer"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from linear_attention_transformer import (
        LinearAttentionTransformer,
        LinearAttentionTransformerLM,
    )
    from linear_attention_transformer.images import ImageLinearAttention

    tokens = torch.randint(0, 20, (2, 16))
    results = {}
    for name, options in {
        "causal": {"causal": True, "blindspot_size": 2},
        "local": {
            "causal": True,
            "n_local_attn_heads": 1,
            "local_attn_window_size": 4,
            "shift_tokens": True,
        },
        "reversible": {"reversible": True, "ff_chunks": 2},
        "glu": {"ff_glu": True, "shift_tokens": True},
    }.items():
        net = LinearAttentionTransformerLM(
            num_tokens=20, dim=16, heads=2, depth=2, max_seq_len=16, **options
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(tokens).transpose(1, 2), tokens)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name] = [losses, net(tokens)]
    encoder = LinearAttentionTransformer(
        dim=16, heads=2, depth=1, max_seq_len=16, n_local_attn_heads=1, local_attn_window_size=4
    )
    results["encoder"] = encoder(torch.randn(1, 16, 16))
    results["image"] = ImageLinearAttention(chan=8, heads=2, key_dim=8)(torch.randn(1, 8, 6, 6))
    return results
