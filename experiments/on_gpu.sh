#!/usr/bin/env bash
# What to see on a machine with one GPU, in about ten minutes: bash experiments/on_gpu.sh FOLDER
#
# It needs `pip install -e '.[cuda,test]'` and CIFAR-10 and Fashion-MNIST where fjdl looks for data. Each part has a
# limit, writes FOLDER/NAME.txt, and leaves a line in FOLDER/summary.txt; none stops the next. It was never run on a GPU.
set -uo pipefail
out=${1:?a folder for what it writes}
mkdir -p "$out"

part() {  # part NAME SECONDS COMMAND...
  local name=$1 limit=$2 start=$SECONDS
  shift 2
  timeout "$limit" "$@" > "$out/$name.txt" 2>&1
  echo "$name: status $?, $((SECONDS - start)) s" | tee -a "$out/summary.txt"
}

part doctor 60 python -m experiments.doctor
part tests 240 env FJDL_TEST_PLATFORM=cuda,cpu python -m pytest -q -p no:cacheprovider -n 0 \
  tests/functional/pool tests/functional/test_batch_norm.py tests/functional/test_single_pass.py \
  tests/lowering tests/augment/test_platforms.py tests/test_tree.py -k "not device and not mesh"
for config in digits_lenet fashion_mnist_lenet fashion_mnist_resnet; do
  part "train_$config" 90 python -m experiments.train "configs/$config.py" --precision bfloat16 --epochs 3 \
    --run-dir "$out/$config"
done
part cifar10_fast 240 python -m experiments.speedrun configs/cifar10_fast.py --precision bfloat16 --seeds 3
part resnet50 180 python -m experiments.bench cnn --only ResNet-50 --batch-size 128 --rounds 3
cat "$out/summary.txt"
