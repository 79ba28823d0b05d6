#!/bin/bash
# A study on the GPUs of several Slurm nodes:  sbatch slurm.sh STUDY.toml STUDIES
#
# The first node's Ray is the head, the others join it, and fabricbo drives from the first node.
# Shortly before its time is over the job finishes the trials in flight, and queues itself again;
# so it does where a node fails or somebody with priority takes the nodes. STUDY.toml, the folder
# STUDIES and the Python environment lie on a file system that all nodes see.
#SBATCH --job-name=fabricbo
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append

set -euo pipefail
set -m # else what runs in the background would be deaf to Ctrl-C

file=${1:?usage: sbatch slurm.sh STUDY.toml STUDIES}
storage=${2:?usage: sbatch slurm.sh STUDY.toml STUDIES}
name=$(basename "$file" .toml)
gpus=${SLURM_GPUS_ON_NODE:-0}
cpus=${SLURM_CPUS_PER_TASK:-1}
if ((gpus > 0)); then of_node=$gpus; else of_node=$cpus; fi

# Whoever reaches Ray's ports may run code as you: nobody without this token does. It is new for
# each job, and goes to the other nodes in the environment, never into a file or a command line.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN
export RAY_USAGE_STATS_ENABLED=0

head=$(hostname)
# The first of this node's addresses; name another one where nodes reach each other elsewhere.
export RAY_ADDRESS="$(hostname -I | cut -d' ' -f1):$((20000 + SLURM_JOB_ID % 10000))"
place=/tmp/ray-$SLURM_JOB_ID # short: names of sockets have at most 107 characters
own=(--num-cpus="$cpus" --num-gpus="$gpus" --block)

srun --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --port="${RAY_ADDRESS##*:}" --node-ip-address="${RAY_ADDRESS%:*}" \
    --temp-dir="$place" --include-dashboard=false "${own[@]}" &
for _ in {1..60}; do
    ray health-check --address "$RAY_ADDRESS" 2>/dev/null && break
    sleep 2
done
if ((SLURM_NNODES > 1)); then
    srun --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" \
        ray start --address="$RAY_ADDRESS" "${own[@]}" &
fi

# Nodes that join late are used from then on: the number of workers is that of all.
with=(--executor ray --address auto --workers $((SLURM_NNODES * of_node)))
if [[ -e $storage/$name ]]; then
    fabricbo resume "$name" --storage "$storage" "${with[@]}" &
else
    fabricbo run "$file" "${with[@]}" &
fi
driver=$!
trap 'kill -INT -- "-$driver"' USR1

status=0
wait "$driver" || status=$?
while kill -0 "$driver" 2>/dev/null; do # a signal ends `wait`, not what it waits for
    status=0
    wait "$driver" || status=$?
done
if ((status == 130)); then # it was stopped, and is not done
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
