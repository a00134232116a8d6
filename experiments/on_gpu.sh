#!/usr/bin/env bash
# What to see on a machine with one GPU, in about ten minutes: bash experiments/on_gpu.sh FOLDER [--language]
#
# It needs `pip install -e '.[cuda,test]'` and CIFAR-10 and Fashion-MNIST where fjdl looks for data; --language also
# trains AWD-LSTM on WikiText-2 and the transformer on Multi30k, whose data it needs too, for some hours. Each part has
# a limit, writes FOLDER/NAME.txt, and leaves a line in FOLDER/summary.txt; none stops the next. It was never run on a
# GPU. In sequence.txt, the LSTM should take at most twice the time of "fjdl, cuDNN", and that at most 1.05 times the
# time of PyTorch, the peer where it has CUDA.
set -uo pipefail
usage="bash experiments/on_gpu.sh FOLDER [--language]"
out=${1:?"$usage"}
language=${2:-}
if [[ $out == -* || $# -gt 2 || ( -n $language && $language != --language ) ]]; then
  echo "$usage" >&2
  exit 2
fi
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
part cudnn 120 env FJDL_TEST_PLATFORM=cuda,cpu python -m pytest -q -p no:cacheprovider -n 0 \
  tests/functional/test_cudnn_lstm.py
part sequence 300 python -m experiments.bench sequence --only lstm --rounds 5
part resnet50 180 python -m experiments.bench cnn --only ResNet-50 --batch-size 128 --rounds 3
if [[ -n $language ]]; then
  for config in wikitext2_awd_lstm multi30k_transformer; do
    part "train_$config" 14400 python -m experiments.train "configs/$config.py" --precision bfloat16 \
      --run-dir "$out/$config"
    part "evaluate_$config" 900 python -m experiments.evaluate "$out/$config"
  done
fi
cat "$out/summary.txt"
