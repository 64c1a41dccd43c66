"""The grey views of `benchmarks/rendering.py` by OpenGL in software, without a window, where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.meshes import Mesh
from monge.data.views import Cameras

_VERTEX = """
#version 330
uniform mat3 frame; uniform float distance_; uniform float scale;
in vec3 place; in vec3 normal;
out vec3 seen; flat out vec3 side;
void main() {
    seen = frame * place - vec3(0, 0, distance_);
    side = frame * normal;
    float near = distance_ - 1.1, far = distance_ + 1.1, depth = -seen.z;
    gl_Position = vec4(seen.xy / scale, ((far + near) * depth - 2 * far * near) / (far - near), depth);
}
"""
_FRAGMENT = """
#version 330
in vec3 seen; flat in vec3 side;
out float grey;
void main() {
    float cosine = abs(dot(normalize(seen), side));
    grey = 0.14 + 0.49 * cosine + 0.2 * pow(cosine, 20);
}
"""


class OpenGL:
    """A context, its program and the picture it draws into, kept from mesh to mesh.

    Args:
        modern: The module moderngl.
        fine: Height and width of the drawn picture, two to each pixel of a view.
    """

    def __init__(self, modern: Any, fine: int) -> None:
        self._context = modern.create_standalone_context(backend="egl")
        self._modern, self._fine = modern, fine
        self._program = self._context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        size = (fine, fine)
        colour = self._context.texture(size, 1, dtype="f4")
        self._target = self._context.framebuffer([colour], self._context.depth_renderbuffer(size))

    @classmethod
    def here(cls, fine: int) -> OpenGL | None:
        """The tool, or ``None`` where moderngl or a library of OpenGL is missing.

        Args:
            fine: As for the class.
        """
        try:
            import moderngl

            return cls(moderngl, fine)
        except Exception as error:  # drivers fail in as many ways as there are of them
            print(f"no OpenGL: {error}")
            return None

    @classmethod
    def version(cls) -> str:
        """What draws, or nothing."""
        tool = cls.here(8)
        return "" if tool is None else f"moderngl {tool._modern.__version__}, {tool._context.info['GL_RENDERER']}"

    def views(self, mesh: Mesh, cameras: Cameras) -> NDArray[np.uint8]:
        """uint8 ``(V, S, S)`` of a mesh in the unit sphere.

        Args:
            mesh: The mesh.
            cameras: Where from.
        """
        corners = mesh.vertices[mesh.faces]  # (F, 3, 3)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        content = np.concatenate([corners, np.repeat(normals[:, None], 3, axis=1)], axis=2).astype("f4")  # (F, 3, 6)
        buffer = self._context.buffer(content.tobytes())
        array = self._context.vertex_array(self._program, [(buffer, "3f 3f", "place", "normal")])
        self._program["distance_"] = cameras.distance
        self._program["scale"] = float(np.tan(np.radians(cameras.fov) / 2))
        self._context.enable(self._modern.DEPTH_TEST)
        self._target.use()
        views = []
        for frame in cameras.frames():
            self._program["frame"].write(np.ascontiguousarray(frame.T, "f4").tobytes())  # column after column
            self._target.clear()
            array.render()
            drawn = np.frombuffer(self._target.read(components=1, dtype="f4"), "f4").reshape(self._fine, self._fine)
            size = self._fine // 2
            means = drawn[::-1].reshape(size, 2, size, 2).mean(axis=(1, 3))
            views.append(np.rint(means * 255).astype(np.uint8))
        for made in (array, buffer):
            made.release()
        return np.stack(views)
