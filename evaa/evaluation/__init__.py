"""How well EVAA does: simulated users with something to tell, an interview against each, and what came of it."""
