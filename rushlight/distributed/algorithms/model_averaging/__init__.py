"""Averages of the parameters of all processes, now and then."""
