"""LitServe with batching, as its documentation has it: one worker on the processor, batches of up to 16, a millisecond.

    python benchmarks/peers/serve_litserve.py --run RUN --port 8202

It takes JSON and forms, no bodies of bytes: a picture comes as base64, as in its examples.  The same weights and the
same preprocessing as ``dojang serve RUN``, the network in eager PyTorch.
"""

from __future__ import annotations

import argparse
import base64
import io
from typing import Any

import litserve
import numpy as np
import torch
from PIL import Image

from dojang.runs.validate import load


class Api(litserve.LitAPI):
    """Pickled on its way to the worker, so it stands in a file of its own."""

    def __init__(self, run: str) -> None:
        super().__init__(max_batch_size=16, batch_timeout=0.001)
        self.run = run

    def setup(self, device: str) -> None:
        self.predictor = load(self.run, device="cpu")

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["image"])

    def batch(self, inputs: list[bytes]) -> Any:
        p = self.predictor.preprocess
        found = []
        for data in inputs:
            image = Image.open(io.BytesIO(data)).convert(p.mode)
            height, width = p.stored_size(image.height, image.width)
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            top, left = p.centre(height, width)
            cut = np.asarray(image.crop((left, top, left + p.width, top + p.height)))
            found.append(cut.reshape(p.height, p.width, -1))
        return np.stack(found)

    def predict(self, pixels: Any) -> Any:
        with torch.inference_mode():
            return self.predictor.probabilities(pixels)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)

    def encode_response(self, row: Any) -> dict[str, Any]:
        labels = self.predictor.labels
        shares = dict(zip(labels, row.tolist(), strict=True))
        return {"answers": [{"label": labels[int(row.argmax())], "probabilities": shares}]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    server = litserve.LitServer(Api(given.run), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=given.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
