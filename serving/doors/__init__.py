"""Doors that are processes of their own, and the clients of those that are not: they ask the worker, decide nothing."""
