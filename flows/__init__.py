"""Prefect flows of the pipeline. The only package that imports Prefect."""
