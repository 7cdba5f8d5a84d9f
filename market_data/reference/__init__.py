"""Plain, slow definitions that native code is held against; nothing live imports them."""
