"""Topics that others follow: events, decisions and outcomes, keyed by instrument; one port, drivers beside it."""
