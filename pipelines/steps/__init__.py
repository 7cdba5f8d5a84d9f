"""Plain steps: each runs without a flow around it."""
