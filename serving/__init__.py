"""The live tier: worker, controller, rollouts, guardrails, journal, console."""
