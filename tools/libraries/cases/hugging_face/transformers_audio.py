"""Models of sound (Wav2Vec2, HuBERT, WavLM, AST, Whisper, SpeechT5, VITS) and their processors."""

requires = ["transformers"]

WAV = {
    "vocab_size": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "conv_dim": (16, 16, 16),
    "conv_stride": (4, 4, 2),
    "conv_kernel": (8, 4, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.2,
    "mask_time_length": 2,
}
LAYERS = {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
}


def run():
    """Features of sounds, CTC losses, transcriptions and made sounds."""
    import numpy as np
    import torch
    import transformers as t

    results = {}
    sounds = [np.sin(np.arange(n) * 0.05).astype("float32") for n in (1600, 1200)]
    sounds = [s + np.random.RandomState(0).randn(len(s)).astype("float32") for s in sounds]
    for extractor, more in (
        (t.Wav2Vec2FeatureExtractor(), {"padding": True}),
        (t.WhisperFeatureExtractor(feature_size=8, chunk_length=1), {}),
        (t.ASTFeatureExtractor(num_mel_bins=16, max_length=32), {}),
        (t.SeamlessM4TFeatureExtractor(), {"padding": True}),
    ):
        features = extractor(sounds, sampling_rate=16000, return_tensors="pt", **more)
        results[type(extractor).__name__] = dict(features)

    waves = torch.tensor(np.stack([sounds[0][:1200], sounds[1]]))
    for name in ("Wav2Vec2", "Hubert", "WavLM", "UniSpeech"):
        torch.manual_seed(0)
        model = getattr(t, f"{name}ForCTC")(getattr(t, f"{name}Config")(**WAV))
        found = model(waves, labels=torch.randint(1, 30, (2, 4)))
        found.loss.backward()
        results[name] = {
            "loss": found.loss,
            "gradient": model.lm_head.weight.grad,
            "logits": model.eval()(waves).logits,
        }

    torch.manual_seed(0)
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    lengths = {"max_source_positions": 50, "max_target_positions": 32, "num_mel_bins": 8}
    config = t.WhisperConfig(
        vocab_size=99, d_model=32, suppress_tokens=None, begin_suppress_tokens=None,
        **LAYERS, **tokens, **lengths,
    )  # fmt: skip
    whisper = t.WhisperForConditionalGeneration(config)
    mel = results["WhisperFeatureExtractor"]["input_features"]
    optimizer = torch.optim.AdamW(whisper.parameters(), lr=1e-3)
    labels = torch.randint(4, 99, (2, 5))
    losses = []
    for _ in range(5):
        loss = whisper(mel, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    whisper.eval()
    results["Whisper"] = {
        "losses": losses,
        "greedy": whisper.generate(mel, max_new_tokens=6),
        "beams": whisper.generate(mel, max_new_tokens=6, num_beams=2),
    }

    torch.manual_seed(0)
    config = t.SpeechT5Config(
        vocab_size=99, hidden_size=32, num_mel_bins=8, speaker_embedding_dim=8,
        speech_decoder_prenet_units=16, speech_decoder_postnet_units=16, **LAYERS,
    )  # fmt: skip
    speaker = t.SpeechT5ForTextToSpeech(config).eval()
    vocoder = t.SpeechT5HifiGan(
        t.SpeechT5HifiGanConfig(model_in_dim=8, upsample_initial_channel=16)
    )
    ids = torch.randint(3, 99, (1, 6))
    results["SpeechT5"] = speaker.generate_speech(ids, torch.randn(1, 8), vocoder=vocoder.eval())
    return results
