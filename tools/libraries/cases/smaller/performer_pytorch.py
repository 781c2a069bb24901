"""Performers with random features, also reversible ones, are trained and write."""

requires = ["performer-pytorch"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from performer_pytorch import FastAttention, Performer, PerformerLM, SelfAttention
    from performer_pytorch.autoregressive_wrapper import AutoregressiveWrapper

    results = {}
    tokens = torch.randint(0, 20, (2, 16))
    for name, options in {
        "favor": {"nb_features": 16},
        "relu": {"generalized_attention": True, "kernel_fn": torch.nn.ReLU()},
        "reversible": {"reversible": True, "use_scalenorm": True, "nb_features": 8},
        "rotary": {
            "rotary_position_emb": True,
            "ff_glu": True,
            "local_attn_heads": 1,
            "local_window_size": 4,
        },
    }.items():
        net = PerformerLM(
            num_tokens=20, max_seq_len=16, dim=16, depth=2, heads=2, dim_head=8, **options
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
    attention = FastAttention(dim_heads=8, nb_features=16, causal=False)
    q, k, v = torch.randn(3, 1, 2, 10, 8)
    results["attention"] = attention(q, k, v)
    results["self"] = SelfAttention(dim=16, heads=2, dim_head=8, causal=False)(
        torch.randn(1, 10, 16)
    )
    encoder = Performer(dim=16, depth=1, heads=2, dim_head=8, causal=False)
    results["encoder"] = encoder(torch.randn(1, 8, 16))
    writer = AutoregressiveWrapper(
        PerformerLM(
            num_tokens=20,
            max_seq_len=16,
            dim=16,
            depth=1,
            heads=2,
            dim_head=8,
            generalized_attention=True,
        )
    )
    results["written"] = writer.generate(tokens[:, :4], 5)
    return results


tolerance = 1e-3  # the features are exponentials, which magnify
