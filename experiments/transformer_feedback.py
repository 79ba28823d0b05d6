import argparse
from pathlib import Path
import torch
from fabricbo.torchvision_compat import ensure_importable
ensure_importable()
from experiments.transformer_training import networks
if __name__=="__main__":
    p=argparse.ArgumentParser(); p.add_argument("--folder",type=Path); p.add_argument("--kind"); p.add_argument("--minutes",type=float)
    o=p.parse_args()
    torch.set_num_threads(1)
    networks.train_network(o.kind, o.folder, o.minutes)
