"""One module a format; each says whether a path is its own (`claims`) and reads it (`read`)."""
