"""The tier's processes, each a composition root of its own."""
