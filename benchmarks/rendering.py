"""Reading meshes and rendering views beside trimesh, on one core.

Every round does the same work with each tool, in an order that turns from round to round; ratios are medians of ratios
within a round. Times are CPU seconds of the process, so that a busy machine matters little.

    python benchmarks/rendering.py                 # a minute
    python benchmarks/rendering.py --out benchmarks/results/rendering.csv
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import csv
import datetime
import io
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh.ray.ray_pyembree import RayMeshIntersector

from monge.data.meshes import Mesh, read_mesh
from monge.data.views import Cameras, RenderSettings, normalise, render_views, ring_cameras
from monge.data.views.settings import renderer_version

SIZE, RAYS = 224, 4
TORI = {5_000: (50, 50), 100_000: (250, 200)}


def by_trimesh(mesh: Mesh, cameras: Cameras) -> NDArray[np.uint8]:
    """The same grey views through trimesh's own ray casting, which rests on Embree too."""
    given = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    caster = RayMeshIntersector(given)
    fine = 2 * SIZE
    across = ((np.arange(fine) + 0.5) / fine * 2 - 1) * np.tan(np.radians(cameras.fov) / 2)
    x, y = np.meshgrid(across, -across)
    views = []
    for right, above, back in cameras.frames():
        rays = trimesh.util.unitize(x.ravel()[:, None] * right + y.ravel()[:, None] * above - back)
        origins = np.broadcast_to(back * cameras.distance, rays.shape)
        faces, hit = caster.intersects_id(origins, rays, multiple_hits=False)
        cosine = np.abs(np.einsum("ij,ij->i", given.face_normals[faces], rays[hit]))
        values = np.zeros(fine * fine)
        values[hit] = 0.14 + 0.49 * cosine + 0.2 * cosine**20
        means = values.reshape(SIZE, 2, SIZE, 2).mean(axis=(1, 3))
        views.append(np.rint(means * 255).astype(np.uint8))
    return np.stack(views)


def works(faces: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """For each piece of work, the same by monge and by trimesh."""
    torus = trimesh.creation.torus(0.7, 0.25, major_sections=TORI[faces][0], minor_sections=TORI[faces][1])
    mesh = normalise(Mesh(np.array(torus.vertices), np.array(torus.faces, np.int64), "torus"))
    settings = RenderSettings(size=SIZE, rays=RAYS)
    found: dict[str, dict[str, Callable[[], Any]]] = {
        "12 grey views of 224 x 224": {
            "monge": lambda: render_views(mesh, settings),
            "trimesh": lambda: by_trimesh(mesh, ring_cameras()),
        }
    }
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
    """Both draw the same."""
    work = works(5_000)["12 grey views of 224 x 224"]
    mine, theirs = (np.asarray(work[name](), np.int64) for name in ("monge", "trimesh"))
    print(f"mean difference of the pictures: {np.abs(mine - theirs).mean():.3f} of 255")


def measure(faces: int, rounds: int) -> list[dict[str, Any]]:
    """One row a work and tool."""
    rows = []
    for what, tools in works(faces).items():
        names = list(tools)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name in names[turn % 2 :] + names[: turn % 2]:
                start = time.process_time()
                tools[name]()
                if turn:  # the first round warms up
                    seconds[name].append(time.process_time() - start)
        for name in names:
            ratio = statistics.median(m / t for m, t in zip(seconds[name], seconds["trimesh"], strict=True))
            rows.append(
                {
                    "faces": faces,
                    "work": what,
                    "tool": name,
                    "cpu_ms": round(1e3 * statistics.median(seconds[name]), 2),
                    "ratio_to_trimesh": round(ratio, 3),
                    "rounds": rounds,
                }
            )
    return rows


def surroundings() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    return {
        "machine": platform.machine(),
        "trimesh": trimesh.__version__,
        "renderer": renderer_version(),
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    """Prints the table and writes it where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    options = parser.parse_args()
    print(", ".join(f"{key} {value}" for key, value in surroundings().items()))
    check()
    rows = []
    for faces in TORI:
        for row in measure(faces, options.rounds):
            rows.append(row | surroundings())
            ratio = f"{row['ratio_to_trimesh']:>8.2f} x trimesh"
            print(f"{faces:>8,} faces  {row['work']:<28}{row['tool']:<9}{row['cpu_ms']:>9.1f} ms{ratio}", flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
