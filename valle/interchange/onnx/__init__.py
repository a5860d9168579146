"""Networks as ONNX graphs: codebooks 1 and up of the model, and the decoder of the embedded codec."""
