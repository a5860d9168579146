"""The trunk of a checkpoint in llama.cpp, in place of torch."""
