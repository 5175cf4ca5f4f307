"""What a plan is and what it costs, from measurements and dated prices."""
