"""Reading a batch from git: trailers, records, item commits, state, rescue refs, and the audit."""
