"""Sequential tests that stay honest however often they are looked at."""
