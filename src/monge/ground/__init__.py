"""Ground distances: what it costs to move mass from one class to another."""

from monge.ground.base import Ground
from monge.ground.convert import GroundLike, as_ground
from monge.ground.embeddings import FromEmbeddings
from monge.ground.learned import Learned
from monge.ground.line import Line
from monge.ground.matrix import Matrix
from monge.ground.power import Power
from monge.ground.tree import Tree

__all__ = ["FromEmbeddings", "Ground", "GroundLike", "Learned", "Line", "Matrix", "Power", "Tree", "as_ground"]
