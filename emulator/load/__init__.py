"""Open-loop load: requests leave when the schedule says, whatever became of the ones before."""
