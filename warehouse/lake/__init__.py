"""Store tables: Delta Lake commits, Parquet files and the object stores below them."""
