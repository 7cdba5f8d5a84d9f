"""Tells others what happened: a webhook, a command, Prefect's events; for as long as it takes, and never in the way."""
