"""Reformers with hashed and with full attention and reversible layers are trained."""

requires = ["reformer-pytorch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from reformer_pytorch import LSHSelfAttention, Reformer, ReformerLM

    tokens = torch.randint(0, 20, (2, 32))
    results = {}
    for name, options in {
        "hashed": {"n_hashes": 2, "bucket_size": 8, "lsh_dropout": 0.0},
        "full": {"use_full_attn": True, "ff_chunks": 2, "weight_tie": True},
    }.items():
        net = ReformerLM(
            num_tokens=20,
            dim=16,
            depth=2,
            max_seq_len=32,
            heads=2,
            causal=True,
            axial_position_emb=True,
            axial_position_shape=(8, 4),
            **options,
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(tokens).transpose(1, 2), tokens)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        results[name] = [losses, net(tokens)]
    results["layer"] = LSHSelfAttention(dim=16, heads=2, bucket_size=8, n_hashes=2, causal=False)(
        torch.randn(1, 32, 16)
    )
    results["encoder"] = Reformer(dim=16, depth=1, heads=2, bucket_size=8, n_hashes=2)(
        torch.randn(1, 32, 16)
    )
    return results
