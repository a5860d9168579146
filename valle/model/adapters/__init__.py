"""Low-rank adapters: small additions to the weights of a trained model, kept in files of their own."""
