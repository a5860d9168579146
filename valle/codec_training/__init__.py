"""Train `mini`: compute its codes from speech, then learn its decoder."""
