"""Commands that measure, and keep what they measured in `results/`."""
