"""Read published corpora: one module per layout, `registry` opens one by its kind."""
