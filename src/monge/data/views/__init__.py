"""Pictures of meshes: cameras, rendering, a cache on disk, and sets of views for training."""
