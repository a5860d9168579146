"""The library: speech in, codes, a model, speech and scores out. It knows neither Prefect nor SQL."""
