"""The serving package: everything that is deployed, and nothing else."""

__version__ = "0.1.0"
