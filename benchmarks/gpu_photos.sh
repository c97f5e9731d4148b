#!/usr/bin/env bash
# Photographs on one GPU, about twelve minutes: a step beside PyTorch's, then CIFAR-10 with 4,000 and 250 labels, on the
# network of `photos` and on WRN-28-2.
#
#   benchmarks/gpu_photos.sh CIFAR OUT [SECONDS [STEPS]]
#     CIFAR    folder with the files of CIFAR-10's binary version
#     OUT      folder for bench.json, and for four runs
#     SECONDS  of training a run (140): as many steps as fit, at the pace of bench.json; WRN-28-2 gets half as many
#     STEPS    of a run, whatever SECONDS is: 4 tries the script where there is no GPU
#
# SGAN_EXTRAS=cuda makes the environment with JAX for CUDA. TORCH names a Python that has torch (python3).
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
cifar=$(realpath -- "$1")
mkdir -p -- "$2"
out=$(realpath -- "$2")
seconds=${3:-140}
steps=${4:-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=()
[ -n "$steps" ] && quick=(--rounds 1 --warmup 1 --steps 1)
bin/bench --presets photos --bfloat16 --no-products --no-starts --torch "${TORCH:-python3}" --json "${quick[@]}" \
  >"$out/bench.json"
fitting=$(bin/_python -c 'import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
pace = min(row["median_ms"] for row in rows if row["kind"] == "ours" and row["precision"] == "bfloat16")
print(max(4, int(float(sys.argv[2]) * 1000 / pace)))' "$out/bench.json" "$seconds")

for labels in 4000 250; do
  for network in residual wide_residual; do
    count=${steps:-$fitting}
    [ $network = residual ] || count=$((count / 2))
    bin/train --preset photos --model.networks $network --data-dir "$cifar" --labels $labels --precision auto \
      --steps "$count" --steps-per-epoch $(((count + 3) / 4)) --run "$out/$network-$labels"
  done
done
