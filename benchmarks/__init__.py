"""What is measured, against whom; each module has one `run()` that `ringcraft bench NAME` calls."""
