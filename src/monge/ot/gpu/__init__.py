"""Triton kernels for NVIDIA GPUs: what :mod:`monge.ot` solves in many launches of torch, in one; imported on demand."""
