"""What data must look like: events, features, journal records, manifests, policy, settings, errors."""
