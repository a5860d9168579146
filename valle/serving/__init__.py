"""`valle serve`: speech for other programs, by the HTTP interface of OpenAI's speech endpoint."""
