"""What is watched in a rollout beside its guardrails: share, latency, abstentions, drift, calibration."""
