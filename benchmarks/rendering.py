"""Reading meshes and rendering views beside trimesh and OpenGL in software, on one core.

Every round does the same work with each tool, in an order that turns from round to round; ratios are medians of ratios
within a round. Times are CPU seconds of the process, so that a busy machine matters little. Two tools are measured
where they are installed: OpenGL by moderngl and Mesa's software rasteriser (``pip install moderngl`` and a libEGL), its
context and shaders made beforehand, and trimesh's ray casting without Embree (``pip install rtree``), on a picture of
3,136 rays, since the whole work would take it hours.

    python benchmarks/rendering.py                 # two minutes
    python benchmarks/rendering.py --out benchmarks/results/rendering.csv
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["LP_NUM_THREADS"] = "0"  # Mesa rasterises in the calling thread
os.environ["LIBGL_ALWAYS_SOFTWARE"] = "1"

import argparse
import io
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from rendering_opengl import OpenGL
from result_table import surroundings, write_table
from trimesh.ray.ray_pyembree import RayMeshIntersector as EmbreeCaster
from trimesh.ray.ray_triangle import RayMeshIntersector as PlainCaster
from turns import in_turns, median_ratio, seconds_of

from monge.data.meshes import Mesh, read_mesh
from monge.data.views import Cameras, RenderSettings, normalise, render, render_views, ring_cameras
from monge.data.views.settings import renderer_version

SIZE, RAYS = 224, 4
SMALL = 56
ALL_VIEWS, ONE_VIEW = f"12 grey views of {SIZE} x {SIZE}", f"1 grey view of {SMALL} x {SMALL}, a ray a pixel"
TORI = {5_000: (50, 50), 100_000: (250, 200)}


def by_trimesh(
    mesh: Mesh, cameras: Cameras, size: int = SIZE, per: int = 2, caster_of: Any = EmbreeCaster
) -> NDArray[np.uint8]:
    """The same grey views through trimesh's own ray casting, `per` x `per` rays a pixel."""
    given = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    caster = caster_of(given)
    fine = per * size
    across = ((np.arange(fine) + 0.5) / fine * 2 - 1) * np.tan(np.radians(cameras.fov) / 2)
    x, y = np.meshgrid(across, -across)
    views = []
    for right, above, back in cameras.frames():
        rays = trimesh.util.unitize(x.ravel()[:, None] * right + y.ravel()[:, None] * above - back)
        origins = np.broadcast_to(back * cameras.distance, rays.shape)
        faces, hit = caster.intersects_id(origins, rays, multiple_hits=False)[:2]
        cosine = np.abs(np.einsum("ij,ij->i", given.face_normals[faces], rays[hit]))
        values = np.zeros(fine * fine)
        values[hit] = 0.14 + 0.49 * cosine + 0.2 * cosine**20
        means = values.reshape(size, per, size, per).mean(axis=(1, 3))
        views.append(np.rint(means * 255).astype(np.uint8))
    return np.stack(views)


def plain_casting_is_here() -> bool:
    """Whether trimesh can cast rays without Embree."""
    try:
        import rtree  # noqa: F401
    except ImportError:
        return False
    return True


def drawing(mesh: Mesh) -> dict[str, dict[str, Callable[[], Any]]]:
    """Pictures by every tool that is here."""
    settings = RenderSettings(size=SIZE, rays=RAYS)
    one = Cameras(ring_cameras().directions[:1])
    found: dict[str, dict[str, Callable[[], Any]]] = {
        ALL_VIEWS: {
            "monge": lambda: render_views(mesh, settings),
            "trimesh": lambda: by_trimesh(mesh, ring_cameras()),
        }
    }
    opengl = OpenGL.here(2 * SIZE)
    if opengl is not None:
        found[ALL_VIEWS]["moderngl"] = lambda: opengl.views(mesh, ring_cameras())
    if plain_casting_is_here():
        found[ONE_VIEW] = {
            "monge": lambda: render(mesh, one, SMALL, 1),
            "trimesh": lambda: by_trimesh(mesh, one, SMALL, 1),
            "trimesh without Embree": lambda: by_trimesh(mesh, one, SMALL, 1, PlainCaster),
        }
    return found


def works(faces: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """For each piece of work, the same by monge and by others."""
    torus = trimesh.creation.torus(0.7, 0.25, major_sections=TORI[faces][0], minor_sections=TORI[faces][1])
    mesh = normalise(Mesh(np.array(torus.vertices), np.array(torus.faces, np.int64), "torus"))
    found = drawing(mesh)
    for kind in ("off", "obj", "ply", "stl", "glb"):
        exported = torus.export(file_type=kind)
        content = exported.encode() if isinstance(exported, str) else exported
        found[f"reading {kind.upper()}"] = {
            "monge": lambda content=content, kind=kind: read_mesh(content, file_type=kind),  # type: ignore[misc]
            "trimesh": lambda content=content, kind=kind: trimesh.load_mesh(  # type: ignore[misc]
                io.BytesIO(content), file_type=kind, process=False
            ),
        }
    return found


def check() -> None:
    """All draw the same."""
    for what, tools in works(5_000).items():
        if "view" in what:
            pictures = {name: np.asarray(work(), np.int64) for name, work in tools.items()}
            for name in list(pictures)[1:]:
                apart = np.abs(pictures["monge"] - pictures[name]).mean()
                print(f"{what}: monge and {name} differ by {apart:.3f} of 255 on average")


def measure(faces: int, rounds: int) -> list[dict[str, Any]]:
    """One row a work and tool."""
    rows = []
    for what, tools in works(faces).items():
        tries = {name: partial(seconds_of, work, time.process_time) for name, work in tools.items()}
        seconds = in_turns(tries, rounds)
        for name, taken in seconds.items():
            rows.append(
                {
                    "faces": faces,
                    "work": what,
                    "tool": name,
                    "cpu_ms": round(1e3 * statistics.median(taken), 2),
                    "ratio_to_trimesh": round(median_ratio(taken, seconds["trimesh"]), 3),
                    "rounds": rounds,
                }
            )
    return rows


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    options = parser.parse_args()
    beside = surroundings(trimesh=trimesh.__version__, renderer=renderer_version(), opengl=OpenGL.version())
    print(", ".join(f"{key} {value}" for key, value in beside.items()))
    check()
    rows = []
    for faces in TORI:
        for row in measure(faces, options.rounds):
            rows.append(row)
            ratio = f"{row['ratio_to_trimesh']:>8.2f} x trimesh"
            print(f"{faces:>8,} faces  {row['work']:<42}{row['tool']:<23}{row['cpu_ms']:>9.1f} ms{ratio}", flush=True)
    if options.out:
        write_table(options.out, rows, beside)


if __name__ == "__main__":
    main()
