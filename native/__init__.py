"""Native code: one extension module, `native._native`; see _native.pyi for what it offers."""
