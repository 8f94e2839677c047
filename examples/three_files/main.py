"""The plain three-file form: data, model, main. Run it in this folder: python main.py"""

import sys

from data import pairs
from model import CNN

import dojang


def main(project="runs/classify", epochs=15):
    pictures = pairs()
    model = dojang.Model(CNN())
    run = model.train(data=pictures, epochs=epochs, project=project)
    top1 = run.metrics["test"]["top1"]
    print(f"test top-1 {top1['value']:.3f} ({top1['low']:.3f} to {top1['high']:.3f})")
    print(model.predict(pictures[0][0])[0])
    return run


if __name__ == "__main__":
    main(*sys.argv[1:2])
