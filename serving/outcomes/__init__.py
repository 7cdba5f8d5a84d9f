"""Outcomes that the trading system posts: kept once, joined to their decisions, compared with paper."""
