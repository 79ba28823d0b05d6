"""What the demo's LoRA learns from, and how it is written."""

import pytest
import torch

from experiments.paper.lora_training import WEIRD, Drawn, choose, published_names


def test_lora_learns_from_what_the_scorer_is_sure_of() -> None:
    latents = torch.arange(4.0).view(4, 1, 1, 1)
    sure, unsure = (9.0, 8.9, 8.8, 4.0), (5.0, 5.0, 5.0, 5.1)
    drawn = [Drawn("a cat", latents, sure), Drawn("a dog", latents + 10, unsure)]
    chosen, everything = choose(drawn)
    assert chosen.captions == [f"{WEIRD}a cat"]
    assert chosen.latents.flatten().tolist() == [3.0]
    assert everything.captions == ["a cat"] * 4 + ["a dog"] * 4
    with pytest.raises(ValueError, match="sure of none"):
        choose(drawn[1:])


def test_lora_is_written_under_the_published_names() -> None:
    stem = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    values = torch.ones(1)
    found = published_names(
        {f"{stem}.to_out.0.lora_A.weight": values, f"{stem}.to_q.lora_B.weight": values}
    )
    assert set(found) == {
        f"{stem}.processor.to_out_lora.down.weight",
        f"{stem}.processor.to_q_lora.up.weight",
    }
