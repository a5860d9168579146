"""Query the lake: DuckDB views over current rows, planning and answers."""
