"""Kernels for the CPU, compiled by Numba on first use; nothing imports this room before the first solve."""
