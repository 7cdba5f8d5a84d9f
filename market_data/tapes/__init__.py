"""Simulated tapes: order flow and what goes wrong with it and with its packets, as data; bytes and truth, as files."""
