"""The controller process: follows the registry, judges rollouts, publishes routing."""
