"""Protection that every web server of the project shares: checks of requests and secrets in files."""
