"""Store and query everything that was computed: tables, lake, catalogue, views and queries. No torch, no Lhotse."""
