"""Checks of the Bicep files that need neither Azure nor its compiler: `python -m infra.check`."""
