"""From a models directory to a ranked list."""
