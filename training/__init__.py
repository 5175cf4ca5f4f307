"""Offline training: interactions in, a measured and verified models directory out."""
