"""Store and query rows: tables, lake, catalogue, views and queries. Imports neither torch nor Lhotse."""
