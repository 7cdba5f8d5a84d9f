"""The model registry: a port, its drivers, the history of alias moves."""
