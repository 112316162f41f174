"""How good predictions are, compared with what, and how sure that is."""
