"""Where the meshes of a set come from, and what tells them apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from monge.data.formats.sniff import shown
from monge.data.meshes import Mesh, mesh_content, read_mesh


class MeshSource(Protocol):
    """One mesh of a set, not read yet; `MeshFile` and `MeshInMemory` are two.

    Sources travel to worker processes, so they can be pickled, and their class belongs to a module that can be
    imported.
    """

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that the mesh is made from: the bytes of its file, a rotation."""
        ...

    def mesh(self) -> Mesh:
        """Reads it.

        Raises:
            DataFormatError: The file is bad.
        """
        ...


@dataclass(frozen=True)
class MeshFile:
    """A mesh in a file.

    Args:
        path: The file; its ending says what it is.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "triangle.off"
        >>> _ = file.write_text("OFF 3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 2\\n")
        >>> MeshFile(file).name, MeshFile(file).mesh().faces.shape, MeshFile(file).digest()[:6]
        ('triangle.off', (1, 3), '1ccce2')
    """

    path: Path

    @property
    def name(self) -> str:
        """The name of the file."""
        return shown(self.path.name)

    def digest(self) -> str:
        """SHA-256 of the ending and the bytes of the file."""
        content = mesh_content(self.path)
        return hashlib.sha256(self.path.suffix.lower().encode() + b"\0" + content).hexdigest()

    def mesh(self) -> Mesh:
        """See `monge.data.meshes.read_mesh`."""
        return read_mesh(self.path)


@dataclass(frozen=True)
class MeshInMemory:
    """A mesh that was read or made already.

    Args:
        given: The mesh.

    Example:
        >>> import numpy as np
        >>> MeshInMemory(Mesh(np.eye(3), np.array([[0, 1, 2]]), "triangle")).name
        'triangle'
    """

    given: Mesh

    @property
    def name(self) -> str:
        """The name of the mesh."""
        return self.given.name

    def digest(self) -> str:
        """SHA-256 of vertices and faces."""
        digest = hashlib.sha256(f"{len(self.given.vertices)} vertices".encode())
        digest.update(self.given.vertices.tobytes())
        digest.update(self.given.faces.tobytes())
        return digest.hexdigest()

    def mesh(self) -> Mesh:
        """The mesh."""
        return self.given
