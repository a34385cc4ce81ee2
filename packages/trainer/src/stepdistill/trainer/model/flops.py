"""The work of a training step, counted from the weights that a token passes through.

Forward and backward take 6 operations for each weight and token. What attention computes between
tokens is left out (a few per cent at a few hundred tokens), and so is padding: useful work only.
"""

from stepdistill.trainer.model.student import Student

# Dense bf16, TFLOP/s, as NVIDIA states them; the first name that is part of the device's counts.
_PEAKS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "4090": 165}


def flops(student: Student, input_tokens: int, target_tokens: int) -> float:
    """Operations that learning from so many tokens takes."""
    weights = {name: weight.numel() for name, weight in student.model.named_parameters()}

    def count(*parts: str) -> int:
        return sum(n for name, n in weights.items() if all(part in name for part in parts))

    # The decoder's keys and values of the encoder's output are made of input tokens.
    crossing = count("decoder", "EncDecAttention.k.") + count("decoder", "EncDecAttention.v.")
    embedding = count("embed_tokens")
    head = count("lm_head") or count("shared")  # tied: the embedding is the head too
    of_inputs = count("encoder.") + crossing
    of_targets = count("decoder.") - crossing + head
    return 6.0 * (of_inputs * input_tokens + (of_targets - embedding) * target_tokens)


def known_peak(device: str) -> float | None:
    """The peak of a device in TFLOP/s by its name, None where it is not known."""
    return next((float(peak) for name, peak in _PEAKS.items() if name in device), None)
