"""Our kernels as benchmark programs."""
