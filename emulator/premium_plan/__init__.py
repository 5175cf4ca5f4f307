"""An Elastic Premium plan on one machine: front end, instances, scale controller."""
