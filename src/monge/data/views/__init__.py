"""Pictures of meshes: cameras, rendering, a cache on disk, and sets of views for training."""

from monge.data.views.cache import RenderedMeshes as RenderedMeshes
from monge.data.views.cache import ViewCache as ViewCache
from monge.data.views.cameras import Cameras as Cameras
from monge.data.views.cameras import dodecahedron_cameras as dodecahedron_cameras
from monge.data.views.cameras import ring_cameras as ring_cameras
from monge.data.views.render import normalise as normalise
from monge.data.views.render import render as render
from monge.data.views.render import render_views as render_views
from monge.data.views.settings import RenderSettings as RenderSettings
from monge.data.views.sources import MeshFile as MeshFile
from monge.data.views.sources import MeshInMemory as MeshInMemory
from monge.data.views.sources import MeshSource as MeshSource
from monge.data.views.view_files import ViewFiles as ViewFiles
from monge.data.views.view_set import ViewSet as ViewSet

__all__ = [
    "Cameras",
    "MeshFile",
    "MeshInMemory",
    "MeshSource",
    "RenderSettings",
    "RenderedMeshes",
    "ViewCache",
    "ViewFiles",
    "ViewSet",
    "dodecahedron_cameras",
    "normalise",
    "render",
    "render_views",
    "ring_cameras",
]
