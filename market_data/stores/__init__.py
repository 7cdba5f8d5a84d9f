"""Where recordings and the latest values are kept: one port each, drivers beside it; none is ever in a worker."""
