"""Two networks that embed two kinds of inputs into one space."""

from __future__ import annotations

from torch import Tensor, nn

from monge.errors import MongeError


class TwoModalities(nn.Module):
    """A network for each of two modalities, which share nothing but the space that they embed into.

    Args:
        first: Embeds the first modality.
        second: Embeds the second.
        names: What the two are called.

    Raises:
        ValueError: Names that are empty, equal, or no identifiers.

    Example:
        >>> import torch
        >>> model = TwoModalities(nn.Linear(5, 3), nn.Linear(7, 3), names=("sketch", "shape"))
        >>> model.embed("shape", torch.zeros(4, 7)).shape
        torch.Size([4, 3])
        >>> sketches, shapes = model(torch.zeros(2, 5), torch.zeros(4, 7))
        >>> len(sketches), len(shapes)
        (2, 4)
    """

    def __init__(self, first: nn.Module, second: nn.Module, names: tuple[str, str] = ("first", "second")) -> None:
        super().__init__()
        if len(set(names)) != 2 or not all(name.isidentifier() for name in names):
            raise ValueError(f"names: found {names}, expected two different words")
        self.names = names
        self.networks = nn.ModuleDict(dict(zip(names, (first, second))))

    def __getitem__(self, name: str) -> nn.Module:
        """The network of a modality."""
        if name not in self.names:
            raise MongeError(f"modality: found {name!r}, expected {' or '.join(self.names)}")
        return self.networks[name]

    def embed(self, name: str, inputs: Tensor) -> Tensor:
        """Embeddings (N, D) of inputs of one modality.

        Raises:
            MongeError: There is no modality of this name.
        """
        embeddings: Tensor = self[name](inputs)
        return embeddings

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (N, D) and (M, D) of inputs of both modalities, in one call as distributed training wants it.

        Raises:
            MongeError: The embeddings differ in length.
        """
        one, other = self.embed(self.names[0], first), self.embed(self.names[1], second)
        if one.shape[1:] != other.shape[1:]:
            found = f"{tuple(one.shape)} and {tuple(other.shape)}"
            raise MongeError(f"the networks for {' and '.join(self.names)} give {found}, expected one length")
        return one, other
