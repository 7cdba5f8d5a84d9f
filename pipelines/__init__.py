"""Prefect flows over plain steps: ingest, train, compress, validate, publish."""
