"""One file a command; each reads its arguments, wires what it needs and prints."""
