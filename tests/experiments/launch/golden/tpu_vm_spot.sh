## create

# makes the machines; it fails at once where there is no capacity
# makes the TPU VM fjdl-mnist, billed from now on
# undone by: gcloud compute tpus tpu-vm delete fjdl-mnist --project=my-project --zone=us-west4-a --quiet
# lost with it: the machines' disks; a minute or two
gcloud compute tpus tpu-vm create fjdl-mnist --project=my-project --zone=us-west4-a \
  --accelerator-type=v5litepod-4 --version=v2-alpha-tpuv5-lite --spot

# counts the machines
# must print 1, otherwise the slice is not the one of 1 host that was planned
gcloud compute tpus tpu-vm describe fjdl-mnist --project=my-project --zone=us-west4-a \
  '--format=value(networkEndpoints.len())'


## sync

# makes the folder for the code's file
mkdir -p build

# packs the code, HEAD at 0123456789ab
git bundle create -q build/fjdl-mnist.bundle HEAD

# makes the ssh key, and waits until every machine takes it
# tried every 30 s until it succeeds, 10 times at most
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=all --command=true

# copies the code to every machine
gcloud compute tpus tpu-vm scp build/fjdl-mnist.bundle fjdl-mnist:fjdl-mnist.bundle --project=my-project \
  --zone=us-west4-a --worker=all

# installs Python, the code and what it needs on every machine
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=all \
  '--command=set -eu
command -v git > /dev/null || { sudo apt-get update -qq && sudo apt-get install -y -qq git; }
[ -x "$HOME/.local/bin/uv" ] || curl -LsSf https://astral.sh/uv/install.sh | sh
[ -d "$HOME/fjdl" ] || git clone -q "$HOME/fjdl-mnist.bundle" "$HOME/fjdl"
git -C "$HOME/fjdl" fetch -q "$HOME/fjdl-mnist.bundle" HEAD
git -C "$HOME/fjdl" checkout -q --detach 0123456789abcdef0123456789abcdef01234567
[ -d "$HOME/venv" ] || "$HOME/.local/bin/uv" venv -q --python 3.12 "$HOME/venv"
VIRTUAL_ENV="$HOME/venv" "$HOME/.local/bin/uv" pip install -q -e "$HOME/fjdl[tpu]"'


## run

# starts the training on every machine; log: fjdl-logs/fjdl-mnist.log
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=all \
  '--command=set -eu
mkdir -p "$HOME/fjdl-logs"
flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" true || { echo fjdl-mnist is running already >&2; exit 1; }
cd "$HOME/fjdl"
. "$HOME/venv/bin/activate"
export JAX_PLATFORMS=tpu,cpu JAX_COMPILATION_CACHE_DIR="$HOME/jax-cache"
nohup setsid flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist --precision bfloat16 >> "$HOME/fjdl-logs/fjdl-mnist.log" 2>&1 < /dev/null &
echo started fjdl-mnist'


## logs

# follows the log of machine 0; ctrl-c ends only that
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=0 \
  '--command=tail -n 50 -F "$HOME/fjdl-logs/fjdl-mnist.log"'


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist/logs

# copies the run
gcloud compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl/runs/fjdl-mnist runs --project=my-project \
  --zone=us-west4-a --worker=0

# copies the log of machine 0
gcloud compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/0.log \
  --project=my-project --zone=us-west4-a --worker=0


## delete

# deletes the machines with their disks
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute tpus tpu-vm delete fjdl-mnist --project=my-project --zone=us-west4-a --quiet

# looks whether the machines are gone
# must print nothing, otherwise the machines are still there and are billed
gcloud compute tpus tpu-vm list --project=my-project --zone=us-west4-a '--filter=name~/fjdl-mnist$' \
  '--format=value(name)'
