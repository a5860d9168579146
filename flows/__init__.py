"""What runs, on which shards, with which retries. The only home of Prefect."""
