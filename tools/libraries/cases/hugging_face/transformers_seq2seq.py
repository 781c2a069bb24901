"""Encoders with decoders (T5, BART, Pegasus, Marian, LED …): loss, gradients, beams; a training."""

requires = ["transformers"]

T5 = {"d_model": 32, "d_ff": 37, "d_kv": 8, "num_layers": 2, "num_heads": 4}
BART = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "max_position_embeddings": 64,
    "forced_eos_token_id": 2,
}
LED = {k: v for k, v in BART.items() if k != "max_position_embeddings"}
KINDS = {
    "T5": T5,
    "MT5": T5,
    "UMT5": T5,
    "LongT5": {**T5, "local_radius": 4},
    "Bart": BART,
    "MBart": BART,
    "Pegasus": BART,
    "Marian": BART,
    "Blenderbot": BART,
    "M2M100": BART,
    "LED": {**LED, "attention_window": 4, "max_encoder_position_embeddings": 64},
}


def run():
    """For each kind: loss, one gradient, tokens; and the losses of a T5 that learns to reverse."""
    import torch
    import transformers

    results = {}
    ids, labels = torch.randint(3, 99, (2, 8)), torch.randint(3, 99, (2, 6))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    tokens = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
    for name, sizes in KINDS.items():
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(vocab_size=99, **tokens, **sizes)
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
        loss = model(ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        gradient = model.get_input_embeddings().weight.grad
        model.eval()
        settings = {"attention_mask": mask, "max_new_tokens": 8}
        results[name] = {
            "loss": loss,
            "gradient": gradient,
            "greedy": model.generate(ids, do_sample=False, **settings),
            "sampled": model.generate(ids, do_sample=True, top_k=20, **settings),
            "beams": model.generate(ids, num_beams=3, num_return_sequences=2, **settings),
        }
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=99, dropout_rate=0.0, **tokens, **T5)
    )
    optimizer = transformers.Adafactor(model.parameters(), lr=1e-2, relative_step=False)
    losses = []
    for _ in range(15):
        source = torch.randint(3, 99, (8, 6))
        loss = model(source, labels=source.flip(1)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    results["losses of the training"] = losses
    return results
