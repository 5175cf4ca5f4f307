"""Discrete events: arrivals, front end, instances, and what starts and ends them."""
