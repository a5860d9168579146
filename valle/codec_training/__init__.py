"""How `mini` comes about: its codes are computed from speech, its decoder is learned."""
