"""Rollouts as pure decisions: evidence in, verdict out."""
