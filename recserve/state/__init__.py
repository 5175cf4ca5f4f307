"""What users did: the part of a recommendation that changes with every click."""
