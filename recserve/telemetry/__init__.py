"""Where every millisecond goes: stamped on the way, turned into spans and metrics afterwards."""
