"""The extension module's types; folders of native/ mirror the sections."""

# --- contracts ---------------------------------------------------------------

LAYOUT: dict[str, int]
"""Sizes and offsets of the shared structs, for the test that holds the dtypes against them."""

# --- market_data -------------------------------------------------------------

# --- models ------------------------------------------------------------------

# --- serving -----------------------------------------------------------------
