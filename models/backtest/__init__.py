"""A queue- and latency-aware backtest of recorded depth, through hftbacktest in an environment of its own."""
