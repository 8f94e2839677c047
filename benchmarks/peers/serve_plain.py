"""A server as most write it first: FastAPI, Pillow, the network in eager PyTorch, on the pool of threads.

    python benchmarks/peers/serve_plain.py --run RUN --port 8201 [--threads N]

The same weights and the same preprocessing as ``dojang serve RUN``, by Pillow and torch's own operations.
``--threads`` is that of torch's arithmetic; as most leave it, it is one for each core, for each request that is being
answered.
"""

from __future__ import annotations

import argparse
import asyncio
import io
from typing import Any

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image

from dojang.runs.validate import load

app = FastAPI()
loaded: dict[str, Any] = {}


def answer(data: bytes) -> dict[str, Any]:
    predictor, mean, std = loaded["predictor"], loaded["mean"], loaded["std"]
    p = predictor.preprocess
    image = Image.open(io.BytesIO(data)).convert(p.mode)
    height, width = p.stored_size(image.height, image.width)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    top, left = p.centre(height, width)
    pixels = np.asarray(image.crop((left, top, left + p.width, top + p.height))).reshape(p.height, p.width, -1)
    tensor = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - mean) / std
    with torch.inference_mode():
        shares = (loaded["model"](tensor[None]) / predictor.temperature).softmax(1)[0].tolist()
    best = max(range(len(shares)), key=shares.__getitem__)
    return {"label": predictor.labels[best], "probabilities": dict(zip(predictor.labels, shares, strict=True))}


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    data = await request.body()
    # as `def` endpoints are run
    return {"answers": [await asyncio.to_thread(answer, data)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    predictor = load(given.run, device="cpu")
    mean, std = (torch.tensor(v)[:, None, None] for v in (predictor.preprocess.mean, predictor.preprocess.std))
    model = predictor.model.to(memory_format=torch.contiguous_format)
    loaded.update(predictor=predictor, model=model, mean=mean, std=std)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
