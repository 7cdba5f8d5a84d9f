"""Feeds, recordings, books, features, mark-outs, simulator."""
