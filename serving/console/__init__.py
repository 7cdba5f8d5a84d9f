"""The console: what the controller knows, shown to a person."""
