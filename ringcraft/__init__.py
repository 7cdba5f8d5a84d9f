"""The command line and the composition roots: the only place that wires parts together."""
