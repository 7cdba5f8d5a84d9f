"""Crypto venues: their messages, how their books are kept sound, and their live feeds."""
