"""Model families, labels, evaluation, compression, ONNX export, parity."""
