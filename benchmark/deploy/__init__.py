"""From a finished cell to a folder that runs without kdbench and shows that it says the same there.

Torch, onnx and onnxruntime are imported where they are used: `kdbench[onnx]` brings the last two.
"""
