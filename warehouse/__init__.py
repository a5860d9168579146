"""What has been computed and where it lies: tables, lake, catalogue, views and queries. No torch, no Lhotse."""
