"""Items of a training set as flat arrays, and how they are loaded."""
