"""The journal and posted outcomes to stores and buses, by a process of its own that nobody waits for."""
