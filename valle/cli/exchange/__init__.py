"""Commands that exchange data with other projects, machines and versions."""
