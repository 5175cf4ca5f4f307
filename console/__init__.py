"""The console: what operators, engineers and callers of Recserve look at."""
