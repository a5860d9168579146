"""Commands about the lake: each kind in a module of its own, so that a short query builds no options of others."""
