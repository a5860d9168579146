"""The embedded codec `mini`: a source-filter codec with computed residual codes."""
