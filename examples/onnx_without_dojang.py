"""Pictures, asked of what `dojang export` wrote: python onnx_without_dojang.py best.onnx cat.jpg dog.png"""

import json
import os
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # or ONNX Runtime tells its maker what it runs
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
labels = json.loads(network.get_modelmeta().custom_metadata_map["labels"])
for path in sys.argv[2:]:
    upright = ImageOps.exif_transpose(Image.open(path))  # as it was held when it was taken
    pixels = np.asarray(upright.convert("RGB"))[None]  # uint8 (1, height, width, 3), of any size
    (probabilities,) = network.run(None, {"pictures": pixels})[0]
    print(f"{path}: {labels[probabilities.argmax()]} ({probabilities.max():.3f})")
