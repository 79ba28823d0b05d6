import argparse
from pathlib import Path
import torch
from fabricbo.torchvision_compat import ensure_importable
ensure_importable()
from experiments.demo_training import dataset
from experiments.transformer_training import captioned, networks
from fabricbo.sampler import Checkpoint, load_pipeline
if __name__=="__main__":
    p=argparse.ArgumentParser(); p.add_argument("--folder",type=Path); p.add_argument("--kind"); p.add_argument("--minutes",type=float)
    o=p.parse_args()
    torch.set_num_threads(1)
    dataset.build(o.folder, 4*2304, 0, "training")
    dataset.build(o.folder, 2304, 1, "validation")
    data=captioned.prepare(load_pipeline(Checkpoint("demo",device="cpu")), o.folder, 12)
    print(captioned.some_concepts(12), len(data.latents), data.latents.float().std(), flush=True)
    networks.train_network(o.kind, data, o.folder, o.minutes)
