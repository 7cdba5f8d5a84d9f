"""The demonstration: the whole loop on one machine, in minutes, on real or simulated data."""
