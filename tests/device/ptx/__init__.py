"""PTX run without a GPU: an interpreter on NumPy, and a stand-in for NVIDIA's driver that uses it."""
